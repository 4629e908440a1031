# The CUDA backend, gpu/cuda: the plugin gpu_cuda where there is nvcc (make cuda), and the same sources compiled for the host emulation
# of tests/cuda_host, with which every machine tests them (make check-cuda-host).
CUDA_KERNELS := $(sort $(wildcard gpu/cuda/*.cu))
CUDA_HOST_C := gpu/cuda/cuda.c gpu/cuda/blas.c tests/cuda_host/runtime_host.c tests/cuda_host/blas_host.c
CXX ?= g++
CXX_OPT := $(if $(SAN),-O1 -g -fsanitize=$(SAN) -fno-sanitize-recover=undefined -fno-omit-frame-pointer,-O2 -g)
CXXFLAGS_CUDA := -std=c++17 $(CXX_OPT) -Wall -Wextra -Wno-unknown-pragmas -Werror -fPIC -fno-exceptions -fno-strict-aliasing -ffile-prefix-map=$(CURDIR)/=

# Tests that take their device from LACUS_TEST_DEVICE run once more on the emulated one; LACUS_LIB finds its plugin before the real one.
CUDA_HOST := $(B)/cuda_host
CUDA_HOST_SO := $(CUDA_HOST)/plugins/gpu_cuda.so
CUDA_HOST_TESTS := engine_ops_test engine_golden_test engine_train_test
CUDA_HOST_OBJ := $(CUDA_KERNELS:%.cu=$(CUDA_HOST)/%.cu.o) $(CUDA_HOST_C:%.c=$(CUDA_HOST)/%.o) $(CUDA_HOST)/tests/cuda_host/engine.o

$(CUDA_HOST)/%.cu.o: %.cu $(B)/flags
	@mkdir -p $(@D)
	$(call say,CXX,$<)$(CXX) $(CPPFLAGS_ALL) $(CXXFLAGS_CUDA) -Itests/cuda_host -include tests/cuda_host/cuda_host.h -MMD -MP -x c++ -c -o $@ $<
$(CUDA_HOST)/%.o: %.cpp $(B)/flags
	@mkdir -p $(@D)
	$(call say,CXX,$<)$(CXX) $(CPPFLAGS_ALL) $(CXXFLAGS_CUDA) -MMD -MP -c -o $@ $<
$(CUDA_HOST)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<
$(CUDA_HOST_SO): $(CUDA_HOST_OBJ)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CXX) $(LDFLAGS_ALL) -shared -Wl,-Bsymbolic -o $@ $^ -lpthread -lm
-include $(CUDA_HOST_OBJ:.o=.d)

# the whole of engine_train_test takes a minute there: a curve, and a generation
CUDA_HOST_RUNS := engine_ops_test: engine_golden_test: engine_train_test:adapter_curves* engine_train_test:greedy*
.PHONY: check-cuda-host
check-cuda-host: $(CUDA_HOST_SO) $(CUDA_HOST_TESTS:%=$(B)/tests/%) ## every CUDA kernel and the golden models under the host emulation (SAN=address,undefined|thread too)
	$(Q)set -f; LACUS_CUDA_BLAS=0 LACUS_TEST_DEVICE=cuda LACUS_LIB=$(CURDIR)/$(CUDA_HOST) $(B)/tests/engine_ops_test && for t in $(CUDA_HOST_RUNS); do LACUS_TEST_FILTER="$${t#*:}" LACUS_TEST_DEVICE=cuda LACUS_LIB=$(CURDIR)/$(CUDA_HOST) $(B)/tests/$${t%:*} || exit 1; done

##: CUDA
# The plugin. nvcc compiles kernels for Ampere and Hopper, and as PTX for what comes after; all its warnings are errors, spilled registers too.
NVCC := $(shell command -v nvcc 2>/dev/null || ls $(or $(CUDA_HOME),/usr/local/cuda)/bin/nvcc 2>/dev/null)
CUDA_ARCH ?= -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90a,code=sm_90a -gencode arch=compute_90,code=compute_90
NVCCFLAGS := -std=c++17 -O3 -I. $(CUDA_ARCH) -Werror all-warnings -Xptxas -warn-spills -Xcompiler -fPIC,-Wall,-fvisibility=hidden,-ffile-prefix-map=$(CURDIR)/=
CUDA_C := gpu/cuda/cuda.c gpu/cuda/runtime.c gpu/cuda/blas.c gpu/cuda/blas_load.c
CUDA_SO := build/plugins/gpu_cuda.so
CUDA_OBJ := $(CUDA_KERNELS:%.cu=build/cuda/%.cu.o) $(CUDA_C:%.c=build/cuda/%.o)
build/cuda/%.cu.o: %.cu $(wildcard gpu/cuda/*.cuh gpu/cuda/*.h gpu/*.h)
	@mkdir -p $(@D)
	$(call say,NVCC,$<)$(NVCC) $(NVCCFLAGS) -c -o $@ $<
build/cuda/%.o: %.c $(wildcard gpu/cuda/*.h gpu/*.h)
	@mkdir -p $(@D)
	$(call say,NVCC,$<)$(NVCC) -O2 -I. -Xcompiler -std=c11,-D_GNU_SOURCE,-fPIC,-Wall,-Wextra,-Wconversion -c -o $@ $<
$(CUDA_SO): $(CUDA_OBJ)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(NVCC) -shared -cudart static -Xlinker -Bsymbolic -o $@ $^ -ldl -lpthread -lm

.PHONY: cuda
ifeq ($(strip $(NVCC)),)
cuda: ## the plugin gpu_cuda, where the CUDA toolkit is
	@echo "SKIP cuda: there is no nvcc (on the PATH, in CUDA_HOME or /usr/local/cuda): the plugin gpu_cuda is not built; training works on the processor"
else
cuda: $(CUDA_SO)
endif

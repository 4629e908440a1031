# The CUDA backend, gpu/cuda: the plugin gpu_cuda where there is nvcc (make cuda), and the same sources compiled for the host emulation
# of tests/cuda_host, with which every machine tests them (make check-cuda-host).
CUDA_KERNELS := $(sort $(wildcard gpu/cuda/*.cu))
CUDA_HOST_C := gpu/cuda/cuda.c gpu/cuda/blas.c tests/cuda_host/runtime_host.c tests/cuda_host/blas_host.c tests/cuda_host/nccl_host.c
CXX ?= g++
CXX_OPT := $(if $(SAN),-O1 -g -fsanitize=$(SAN) -fno-sanitize-recover=undefined -fno-omit-frame-pointer,-O2 -g)
CXXFLAGS_CUDA := -std=c++17 $(CXX_OPT) -Wall -Wextra -Wno-unknown-pragmas -Werror -fPIC -fno-exceptions -fno-strict-aliasing -ffile-prefix-map=$(CURDIR)/=

# Tests that take their device from LACUS_TEST_DEVICE run once more on the emulated one; LACUS_LIB finds its plugin before the real one.
CUDA_HOST := $(B)/cuda_host
CUDA_HOST_SO := $(CUDA_HOST)/plugins/gpu_cuda.so
CUDA_HOST_TESTS := engine_collective_test engine_record_test engine_ops_test engine_golden_test engine_train_test
CUDA_HOST_OBJ := $(CUDA_KERNELS:%.cu=$(CUDA_HOST)/%.cu.o) $(CUDA_HOST_C:%.c=$(CUDA_HOST)/%.o) $(CUDA_HOST)/tests/cuda_host/engine.o $(CUDA_HOST)/tests/cuda_host/stream.o

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

##: CUDA
# the whole of engine_train_test takes a minute there: a curve, and a generation
CUDA_HOST_RUNS := engine_collective_test: engine_record_test: engine_ops_test: engine_golden_test: engine_train_test:adapter_curves* engine_train_test:greedy*
.PHONY: check-cuda-host
check-cuda-host: $(CUDA_HOST_SO) $(CUDA_HOST_TESTS:%=$(B)/tests/%) $(if $(SAN),,build/gpu/bench) ## every CUDA kernel and the golden models under the host emulation (SAN=address,undefined|thread too)
	$(Q)set -f; LACUS_CUDA_BLAS=0 LACUS_TEST_DEVICE=cuda LACUS_LIB=$(CURDIR)/$(CUDA_HOST) $(B)/tests/engine_ops_test && for t in $(CUDA_HOST_RUNS); do LACUS_TEST_FILTER="$${t#*:}" LACUS_TEST_DEVICE=cuda LACUS_LIB=$(CURDIR)/$(CUDA_HOST) $(B)/tests/$${t%:*} || exit 1; done
	$(Q)$(if $(SAN),:,LACUS_LIB=$(CURDIR)/$(CUDA_HOST) build/gpu/bench cuda small-product small-product-fp8 small-lora small-fp8-lora small-full small-generate)

ifneq ($(shell command -v $(CXX) 2>/dev/null),)
pytest: $(CUDA_HOST_SO)
endif

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

comma := ,
# Tests and benchmark on a machine with a GPU and nothing else: the engine alone, the tests' own stand-in where cmocka is missing.
GPU := build/gpu
GPU_TESTS := engine_ops_test engine_nccl_test engine_golden_test engine_train_test
GPU_SRC := $(sort $(wildcard gpu/*.c gpu/ref/*.c gpu/tokenizer/*.c runtime/base/*.c) tests/support/golden.c tests/support/device_memory.c)
cmocka_here := $(shell pkg-config --exists cmocka 2>/dev/null && echo yes)
GPU_CFLAGS := -std=c11 -O2 -g -fPIC -Wall -I. -Ibuild/gpu-deps/include -D_GNU_SOURCE -DLACUS_VERSION='"$(VERSION)"' $(if $(cmocka_here),,-Itests/gpu/cmocka)
GPU_SRC += $(if $(cmocka_here),,tests/gpu/cmocka/cmocka.c)
GPU_LIBS := $(if $(wildcard build/gpu-deps/lib),-Lbuild/gpu-deps/lib -l:libjansson.so.4 -Wl$(comma)-rpath$(comma)'$$ORIGIN/../gpu-deps/lib',-ljansson) $(if $(cmocka_here),-lcmocka) -ldl -lpthread -lm
GPU_OBJ := $(GPU_SRC:%.c=$(GPU)/obj/%.o)
$(GPU)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(GPU_CFLAGS) -MMD -MP -c -o $@ $<
$(GPU)/%: $(GPU)/obj/tests/unit/%.o $(GPU_OBJ)
	$(call say,LD,$@)$(CC) -rdynamic -o $@ $^ $(GPU_LIBS)
$(GPU)/bench: $(GPU)/obj/tests/gpu/bench.o $(GPU_OBJ)
	$(call say,LD,$@)$(CC) -rdynamic -o $@ $^ $(GPU_LIBS)
-include $(GPU_OBJ:.o=.d) $(GPU)/obj/tests/gpu/bench.d $(GPU_TESTS:%=$(GPU)/obj/tests/unit/%.d)
.SECONDARY: $(GPU_TESTS:%=$(GPU)/obj/tests/unit/%.o) $(GPU)/obj/tests/gpu/bench.o

.PHONY: gpu-tests gpu-deps check-gpu
gpu-tests: $(GPU_TESTS:%=$(GPU)/%) $(GPU)/bench
gpu-deps: ## puts what check-gpu needs beyond the CUDA toolkit (jansson) into build/gpu-deps, to take along to a bare machine
	$(Q)mkdir -p build/gpu-deps/include build/gpu-deps/lib
	$(Q)cp $$(pkg-config --variable=includedir jansson)/jansson.h $$(pkg-config --variable=includedir jansson)/jansson_config.h build/gpu-deps/include/
	$(Q)cp -L $$(pkg-config --variable=libdir jansson)/libjansson.so.4 build/gpu-deps/lib/ # shared: the static one has names that clash with ours
check-gpu: ## on a CUDA machine: all operations, golden models and training curves, compute-sanitizer, then the benchmark as JSON
	$(Q)NVCC="$(strip $(NVCC))" tests/gpu/check

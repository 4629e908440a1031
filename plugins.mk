# The plugins: name, folder, pkg-config packages, other libraries, a file that must be here. Each becomes build/plugins/NAME.so, opened on first use.
$(eval $(call plugin,regex,gpu/tokenizer/regex,libpcre2-8 libutf8proc,))
$(eval $(call plugin,http,runtime/serving/http,libmicrohttpd,))
$(eval $(call plugin,gpu_cpu,gpu/cpu,,-lpthread))
# its kernels are built once per instruction set and chosen when the plugin is opened
kernel_flags := -O3 -ffp-contract=fast -fno-math-errno -fno-trapping-math
EXTRA_gpu_cpu_kernels_base := $(kernel_flags)
ifeq ($(shell uname -m),x86_64)
EXTRA_gpu_cpu_kernels_avx512 := $(kernel_flags) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512
EXTRA_gpu_cpu_kernels_avx512bf16 := $(EXTRA_gpu_cpu_kernels_avx512) -mavx512bf16
EXTRA_gpu_cpu_kernels_avx2 := $(kernel_flags) -mavx2 -mfma
endif
$(eval $(call plugin,engine_duckdb,runtime/dataframe/engines/duckdb,libsodium zlib libzstd,-lpthread,build/deps/include/duckdb.h))
$(eval $(call plugin,curl,runtime/web/curl,libcurl,))
$(eval $(call plugin,engine_spark,runtime/dataframe/engines/spark,libnghttp2 libssl libcrypto,-lpthread,build/deps/nanoarrow/.ready))
engine_spark_CFLAGS += -isystem build/deps/nanoarrow -isystem build/deps/nanoarrow/include
$(B)/plugins/engine_spark.so: $(B)/nanoarrow.a
$(eval $(call plugin,arrow_ipc,runtime/dataframe/ipc,,,build/deps/nanoarrow/.ready))
arrow_ipc_CFLAGS += -isystem build/deps/nanoarrow -isystem build/deps/nanoarrow/include
$(B)/plugins/arrow_ipc.so: $(B)/nanoarrow.a
FUZZ_OBJ_arrow_ipc_fuzz := $(arrow_ipc_SRC:%.c=$(B)/plugobj/%.o) $(B)/nanoarrow.a
FUZZ_SRC_arrow_ipc_fuzz = $(arrow_ipc_CFLAGS) $(arrow_ipc_SRC) $(NANOARROW_FLAGS) -w $(nanoarrow_src:%=$(NANOARROW)/%.c) # sanitized, too
$(B)/fuzz/arrow_ipc_fuzz: $(FUZZ_OBJ_arrow_ipc_fuzz)
$(eval $(call plugin,yaml,runtime/notebook/yaml,yaml-0.1,))
FUZZ_OBJ_yaml_fuzz := $(B)/plugobj/runtime/notebook/yaml/yaml.o $(shell pkg-config --libs yaml-0.1 2>/dev/null)
FUZZ_SRC_yaml_fuzz := runtime/notebook/yaml/yaml.c $(shell pkg-config --libs yaml-0.1 2>/dev/null)
FUZZ_ABSENT := $(if $(strip $(yaml_ABSENT)),yaml_fuzz) $(if $(strip $(arrow_ipc_ABSENT)),arrow_ipc_fuzz)
$(B)/fuzz/yaml_fuzz: $(B)/plugobj/runtime/notebook/yaml/yaml.o
$(eval $(call plugin,editor,repl/editor,readline,))


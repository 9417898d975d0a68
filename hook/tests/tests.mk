# The fake driver and the program that uses it; tests link support_*.c too.
FAKE    := $(OUT)/tests/fake/libcuda.so.1
CLIENT  := $(OUT)/tests/client
GATER   := $(OUT)/tests/gate_client
SUPPORT := $(wildcard tests/support_*.c)

FAKE_C   := tests/fake_libcuda.c tests/fake_memory.c
CLIENT_C := tests/client.c tests/client_memory.c

$(FAKE): $(FAKE_C) tests/fake_libcuda.h src/hook/driver_api.h $(OBJ)/flags
	$(link)
	$(CC) $(FLAGS) $(INCLUDE) -Itests -shared -Wl,-soname,libcuda.so.1 -o $@ $(FAKE_C)

$(CLIENT): $(CLIENT_C) tests/client.h $(FAKE) $(wildcard src/hook/*.def)
	$(link)
	$(CC) $(FLAGS) $(INCLUDE) -Itests -o $@ $(CLIENT_C) $(FAKE) \
	    -Wl,--unresolved-symbols=ignore-all -ldl

$(GATER): tests/gate_client.c tests/client.h $(FAKE) $(wildcard src/hook/*.def)
	$(link)
	$(CC) $(FLAGS) $(INCLUDE) -Itests -o $@ $< $(FAKE) -Wl,--unresolved-symbols=ignore-all -ldl

$(TEST_BIN): $(SUPPORT) tests/lease.h | $(CLIENT) $(GATER)

# A sanitized hook is preloaded behind its runtime. The fake driver leaks contexts by design.
RUNTIME_OF_address,undefined := libasan.so
RUNTIME_OF_thread            := libtsan.so
export SANITIZER_RUNTIME := \
    $(if $(SANITIZE),$(shell $(CC) -print-file-name=$(RUNTIME_OF_$(SANITIZE))))
export ASAN_OPTIONS      := detect_leaks=0
export TSAN_OPTIONS      := die_after_fork=0 atexit_sleep_ms=0

# ns that the hook adds to a launch and to an allocation with its free.
$(OUT)/tests/bench_hook: $(SUPPORT) tests/lease.h | $(CLIENT)
.PHONY: bench
bench: all $(OUT)/tests/bench_hook
	@OUT='$(abspath $(OUT))' $(OUT)/tests/bench_hook

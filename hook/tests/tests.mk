# The fake driver and the program that uses it; tests link support_*.c too.
FAKE    := $(OUT)/tests/fake/libcuda.so.1
CLIENT  := $(OUT)/tests/client
SUPPORT := $(wildcard tests/support_*.c)

$(FAKE): tests/fake_libcuda.c tests/fake_libcuda.h src/hook/driver_api.h $(OBJ)/flags
	$(link)
	$(CC) $(FLAGS) $(INCLUDE) -Itests -shared -Wl,-soname,libcuda.so.1 -o $@ $<

$(CLIENT): tests/client.c $(FAKE) src/hook/symbols.def
	$(link)
	$(CC) $(FLAGS) $(INCLUDE) -Itests -o $@ $< $(FAKE) -Wl,--unresolved-symbols=ignore-all -ldl

$(TEST_BIN): $(SUPPORT) tests/lease.h | $(CLIENT)

# A sanitized hook is preloaded behind its runtime. The fake driver leaks contexts by design.
RUNTIME_OF_address,undefined := libasan.so
RUNTIME_OF_thread            := libtsan.so
export SANITIZER_RUNTIME := \
    $(if $(SANITIZE),$(shell $(CC) -print-file-name=$(RUNTIME_OF_$(SANITIZE))))
export ASAN_OPTIONS      := detect_leaks=0
export TSAN_OPTIONS      := die_after_fork=0

# ns that the hook adds to a launch and to an allocation with its free.
$(OUT)/tests/bench_hook: $(SUPPORT) tests/lease.h | $(CLIENT)
.PHONY: bench
bench: all $(OUT)/tests/bench_hook
	@OUT='$(abspath $(OUT))' $(OUT)/tests/bench_hook

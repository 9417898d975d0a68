# Fuzzing with libFuzzer, under ASan and UBSan: `make OUT=<folder> fuzz`, FUZZ_S seconds a target.
# What was found is kept in OUT/fuzz/corpus; an input that fails is left in OUT/fuzz/run/<target>.
FUZZ_S     ?= 20
FUZZ       := $(OUT)/fuzz
FUZZERS    := timetable control client limits
FUZZ_FLAGS := -std=c11 -D_GNU_SOURCE -pthread -fno-strict-aliasing -O1 -g $(WARN) \
              -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
# The daemon without its main: LLVM brings one.
SERVED_C   := $(filter-out src/tokend/main.c,$(TOKEND_C)) $(COMMON_C)

FUZZ_C_timetable := src/tokend/timetable.c $(ARBITER_C)
FUZZ_C_control   := $(SERVED_C) fuzz/served.c
FUZZ_C_client    := $(SERVED_C) fuzz/served.c
FUZZ_C_limits    := src/hook/limits.c src/hook/pace.c

fuzzed = $(patsubst %.c,$(OBJ)/fuzzed/%.o,$(1))

.PHONY: fuzz $(FUZZERS:%=fuzz-%)
fuzz: $(FUZZERS:%=fuzz-%)

$(FUZZ)/clang: fuzz/install-clang.sh
	@mkdir -p $(@D)
	@sh $< > $@.new && mv $@.new $@

$(OBJ)/fuzzed/%.o: %.c $(FUZZ)/clang $(OBJ)/flags
	$(link)
	@echo "  CC $<" && $$(cat $(FUZZ)/clang) $(FUZZ_FLAGS) $(INCLUDE) -MMD -MP -c -o $@ $<

$(FUZZ)/seeds: fuzz/seeds.c include/gshare/wire.h
	$(link)
	@echo "  LD $(@F)" && $(CC) $(FLAGS) $(INCLUDE) -o $@ $<

define fuzzer
$(FUZZ)/fuzz_$(1): $(call fuzzed,fuzz/fuzz_$(1).c $(FUZZ_C_$(1)))
	@echo "  LD $$(@F)" && $$$$(cat $(FUZZ)/clang) $(FUZZ_FLAGS) -fsanitize=fuzzer -o $$@ $$^

# In a folder of its own, where the daemon's pages and an input that failed stay until the next run.
fuzz-$(1): $(FUZZ)/fuzz_$(1) $(FUZZ)/seeds
	@rm -rf $(FUZZ)/run/$(1) && mkdir -p $(FUZZ)/corpus/$(1) $(FUZZ)/run/$(1)
	@$(FUZZ)/seeds $(FUZZ)/seeds.d
	@echo "fuzz $(1) for $(FUZZ_S) s" && cd $(FUZZ)/run/$(1) && ../../fuzz_$(1) \
	    -max_total_time=$(FUZZ_S) -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 \
	    ../../corpus/$(1) ../../seeds.d/$(1) > log 2>&1 || { tail -40 log; exit 1; }
	@grep -E 'number_of_executed_units|new_units' $(FUZZ)/run/$(1)/log
endef
$(foreach each,$(FUZZERS),$(eval $(call fuzzer,$(each))))

-include $(wildcard $(OBJ)/fuzzed/*/*.d $(OBJ)/fuzzed/*/*/*.d)

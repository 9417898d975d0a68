# The hook's tests and the daemon's, once under ASan and UBSan, once under TSan, each on a build of
# its own below OUT. What they find in a daemon ends it, and so the test that runs it.
PYTEST   ?= ../.venv/bin/pytest
DAEMON_T := tests/node/test_tokend.py tests/node/test_tokend_faults.py \
            tests/node/test_tokend_restart.py tests/node/test_tokend_timetable.py

.PHONY: sanitize sanitize-asan sanitize-tsan
sanitize: sanitize-asan sanitize-tsan
sanitize-asan: BUILD := OUT=$(OUT)/asan SANITIZE=address,undefined
sanitize-tsan: BUILD := OUT=$(OUT)/tsan SANITIZE=thread
sanitize-asan sanitize-tsan:
	$(MAKE) --no-print-directory $(BUILD) all
	$(MAKE) --no-print-directory $(BUILD) test
	cd .. && ASAN_OPTIONS=detect_leaks=1 TSAN_OPTIONS=halt_on_error=1 \
	    GSHARE_NATIVE_DIR=$(abspath $(OUT))/$(@:sanitize-%=%) \
	    $(abspath $(PYTEST)) -q -x $(DAEMON_T)

# Hilum. docs/building.md says what the targets do; tools/packages names the Debian packages they need.
#
#   make         build/hilum                        make test    installs what is missing, builds, runs every test
#   make run     installs, builds, starts it        make asan, make tsan   the tests under sanitizers
#   make crash   crashes it for some minutes, and compares what it acknowledged with what arrived
#   make faults  makes allocations fail, one after the other, and looks what becomes of it
#   make soak    an hour of everything at once, and nothing may grow or be lost; make soak-ci, five minutes of it
#   make check   every check but the tests          make coverage  which lines the unit and wire tests run
#   make fuzz    every fuzzer, FUZZ_SECONDS each    make fuzz-ci   a minute each; make fuzz-NAME, make afl-NAME: one of them
#   make bench, bench-full, bench-deps, format, install, deps, fresh-test, clean

MAKEFLAGS += --no-print-directory

BUILD  ?= build
PREFIX ?= /usr/local
CONFIG ?= rules/default.lua
# Sanitizers as gcc names them ("address,undefined"); empty is the release.
SAN    ?=
# Not empty: the program notes which of its lines run.
COVER  ?=

CC       = gcc
AR       = gcc-ar
WARN     = -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
DEFINE   = -D_GNU_SOURCE -DHILUM_RULES_DIR='"$(PREFIX)/share/hilum/rules"'
INCLUDE  = $(DEFINE) -Isrc -I/usr/include/lua5.4
LIBS     = -luring -llua5.4 -lxxhash -ljansson -lsqlite3 -lz -lssl -lcrypto -lseccomp -lm -pthread

ifneq ($(COVER),)
MODE     = -O0 --coverage -fprofile-update=atomic -fPIE
LINK     = -pie
else ifeq ($(SAN),)
HARDEN_x86_64  = -fcf-protection
HARDEN_aarch64 = -mbranch-protection=standard
# Fat objects: the program is linked with LTO; the many test programs take the same objects without, which is quick.
MODE     = -O2 -flto=auto -ffat-lto-objects -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection \
           $(HARDEN_$(shell uname -m)) -fPIE
LINK     = -pie -Wl,-z,relro,-z,now
# Kept by a linker that drops what it sees no need for: malloc is libc's as well.
LIBS    += -Wl,--push-state,--no-as-needed -ljemalloc -Wl,--pop-state
else
MODE     = -O1 -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer -fPIE
LINK     = -pie
endif

COMPILE  = $(CC) -std=gnu11 -g $(MODE) $(WARN) $(INCLUDE) $(CPPFLAGS) $(CFLAGS)

SOURCES  := $(sort $(wildcard src/*/*.c))
HEADERS  := $(sort $(wildcard src/*/*.h))
TESTS    := $(sort $(wildcard tests/unit/*/test_*.c tests/wire/test_*.c))
# What test programs share: every other C file beside them.
SHARED   := $(sort $(filter-out $(TESTS),$(wildcard tests/unit/*.c tests/unit/*/*.c tests/wire/*.c)))
RULES    := $(sort $(wildcard rules/*.lua))
EXAMPLES := $(sort $(wildcard rules/examples/*.lua))
# Names of fuzzers: tests/fuzz/fuzz_NAME.c; the other C files there are shared.
FUZZERS  := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZED   := $(sort $(filter-out tests/fuzz/fuzz_%,$(wildcard tests/fuzz/*.c)))

# Commands are shown by the name of what they make; V=1 shows them whole.
Q         = $(if $(V),,@echo '  $@'; )
quoted    = '$(subst ','\'',$(1))'
object    = $(1:%.c=$(BUILD)/obj/%.o)
PROGRAMS := $(TESTS:%.c=$(BUILD)/%)

# What benchmarks send with and send to: bench/load*.c with lane*.c, bench/sink*.c; find.c queries; writer.c and fill.c are for the queue. The other C files
# there serve all of them.
BENCH_C    := $(sort $(wildcard bench/*.c))
BENCH_LOAD := $(filter bench/load%.c bench/lane%.c,$(BENCH_C))
BENCH_SINK := $(filter bench/sink%.c,$(BENCH_C))
BENCH_OWN  := bench/writer.c bench/fill.c bench/find.c
BENCH_BOTH := $(filter-out $(BENCH_LOAD) $(BENCH_SINK) $(BENCH_OWN),$(BENCH_C))
BENCH_ALL  := $(addprefix $(BUILD)/bench/,load sink writer fill find)

all: $(BUILD)/hilum

$(BUILD)/hilum: $(call object,src/main.c) $(BUILD)/libhilum.a $(BUILD)/flags
	$(Q)$(COMPILE) $(LINK) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)

$(BUILD)/libhilum.a: $(call object,$(SOURCES)) $(BUILD)/sources
	@rm -f $@
	$(Q)$(AR) rcs $@ $(filter %.o,$^)

$(BUILD)/libtests.a: $(call object,$(SHARED)) $(BUILD)/sources
	@rm -f $@
	$(Q)$(AR) rcs $@ $(filter %.o,$^)

$(BUILD)/libfuzzed.a: $(call object,$(FUZZED)) $(BUILD)/sources
	@rm -f $@
	$(Q)$(AR) rcs $@ $(filter %.o,$^)

$(PROGRAMS): $(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(BUILD)/libtests.a $(BUILD)/libhilum.a
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(LINK) -fno-lto $(LDFLAGS) -o $@ $^ -lcmocka $(LIBS)

# Preloaded into the program by tests (tests/faults/shim.h); never a part of it.
SHIM := $(BUILD)/tests/faults/shim.so

$(SHIM): $(wildcard tests/faults/*.c tests/faults/*.h) $(BUILD)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -g -O2 -fno-omit-frame-pointer -fPIC -shared $(WARN) $(DEFINE) -o $@ $(filter %.c,$^)

bench-programs: $(BENCH_ALL)

$(BUILD)/bench/load: $(call object,$(BENCH_LOAD) $(BENCH_BOTH)) $(BUILD)/libhilum.a
$(BUILD)/bench/sink: $(call object,$(BENCH_SINK) $(BENCH_BOTH)) $(BUILD)/libhilum.a
$(BUILD)/bench/writer: $(call object,bench/writer.c $(BENCH_BOTH)) $(BUILD)/libhilum.a
$(BUILD)/bench/find: $(call object,bench/find.c $(BENCH_BOTH)) $(BUILD)/libhilum.a
$(BUILD)/bench/fill: $(call object,bench/fill.c $(BENCH_BOTH)) $(BUILD)/libhilum.a
$(BENCH_ALL):
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(LINK) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<

# Written only when what they hold has changed: new flags build everything again, a file that came or went the archives.
$(BUILD)/flags: HELD = $(COMPILE) / $(LINK) $(LDFLAGS) $(LIBS)
$(BUILD)/sources: HELD = $(SOURCES) $(SHARED) $(FUZZED)
$(BUILD)/flags $(BUILD)/sources: FORCE
	@mkdir -p $(@D)
	@echo $(call quoted,$(HELD)) | cmp -s - $@ || echo $(call quoted,$(HELD)) > $@

-include $(patsubst %.o,%.d,$(call object,src/main.c $(SOURCES) $(SHARED) $(TESTS) $(BENCH_C) $(FUZZED) \
    $(FUZZERS:%=tests/fuzz/fuzz_%.c)))

# The targets that install packages build in a make of their own: what they build with may only just have come.
PARALLEL = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

run:
	tools/deps build
	$(MAKE) $(PARALLEL) all
	$(BUILD)/hilum run $(CONFIG)

test:
	tools/deps build test
	$(MAKE) $(PARALLEL) all programs bench-programs
	$(MAKE) run-tests

asan:
	$(MAKE) test BUILD=build/asan SAN=address,undefined

tsan:
	$(MAKE) test BUILD=build/tsan SAN=thread

# Crashes, broken disks and power cuts, longer than in `make test`; as root all of it. CRASH="--minutes 60 --seed 7 flow", for example.
CRASH ?=

crash:
	tools/deps build test
	$(MAKE) $(PARALLEL) all
	HILUM=$(abspath $(BUILD)/hilum) HILUM_SANITIZE=$(SAN) $(if $(SAN),setarch -R )tests/crash/run $(CRASH)

# Allocations that fail, clocks that jump: longer than in `make test`. FAULTS="memory", for example.
FAULTS ?=

faults:
	tools/deps build test
	$(MAKE) $(PARALLEL) all $(SHIM)
	HILUM=$(abspath $(BUILD)/hilum) HILUM_SANITIZE=$(SAN) $(if $(SAN),setarch -R )tests/faults/run $(FAULTS)

# Load, faults and reloads for an hour. SOAK="--minutes 5 --seed 7", for example; SAN=address,undefined builds and takes build/asan.
SOAK ?=
SOAK_BUILD = $(if $(and $(SAN),$(filter build,$(BUILD))),build/$(if $(filter thread,$(SAN)),tsan,asan),$(BUILD))

soak:
	tools/deps build test
	$(MAKE) $(PARALLEL) all BUILD=$(SOAK_BUILD)
	HILUM_SANITIZE=$(SAN) $(if $(SAN),setarch -R )tests/soak/run --hilum $(abspath $(SOAK_BUILD)/hilum) $(SOAK)

soak-ci:
	$(MAKE) soak SOAK="--minutes 5"

# Unit and wire tests alone, without installing anything.
unit: programs
	tests/run $(PROGRAMS)

programs: $(PROGRAMS) $(SHIM)

# Which lines of the program its unit and wire tests run: docs/testing.md. Less than COVERED of a hundred in one of these folders is a failure.
COVERED ?= 90

coverage:
	tools/deps build test
	rm -rf build/coverage/obj/src/*/*.gcda
	$(MAKE) $(PARALLEL) programs BUILD=build/coverage COVER=1
	$(MAKE) unit BUILD=build/coverage COVER=1
	tools/coverage.py build/coverage --least $(COVERED) pdu dimse dicom ul

# Every fuzzer for FUZZ_SECONDS, FUZZ_JOBS of them at a time (tests/fuzz/run); FUZZERS="NAME NAME" for some. Corpora stay in build/fuzz/corpus from
# run to run. What breaks a fuzzer is left in build/fuzz/NAME-*. Warnings of clang are no errors: gcc is who judges.
FUZZ_SECONDS ?= 600
FUZZ_JOBS    ?= 2
FUZZ_BUILD    = BUILD=build/fuzz SAN=address,undefined,fuzzer-no-link CC=clang AR=ar CFLAGS=-Wno-error

fuzz:
	tools/deps build fuzz
	$(MAKE) $(PARALLEL) fuzzers $(FUZZ_BUILD)
	tests/fuzz/run --build build/fuzz --seconds $(FUZZ_SECONDS) --jobs $(FUZZ_JOBS) $(FUZZERS)

fuzz-ci:
	$(MAKE) fuzz FUZZ_SECONDS=60

$(FUZZERS:%=fuzz-%): fuzz-%:
	$(MAKE) fuzz FUZZERS=$*

fuzzers: $(FUZZERS:%=$(BUILD)/fuzz_%)

$(FUZZERS:%=$(BUILD)/fuzz_%): $(BUILD)/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/libfuzzed.a $(BUILD)/libhilum.a
	$(Q)$(COMPILE) -fsanitize=fuzzer $(LINK) $(LDFLAGS) -o $@ $^ $(LIBS)

# The same with AFL++, one of them for FUZZ_SECONDS. What it finds is in build/afl/found/NAME.
AFL_BUILD = BUILD=build/afl SAN=address,undefined CC=afl-clang-fast AR=ar CFLAGS=-Wno-error

afl:
	tools/deps build fuzz afl
	$(MAKE) $(PARALLEL) fuzzers $(AFL_BUILD)

$(FUZZERS:%=afl-%): afl-%:
	tools/deps build fuzz afl
	$(MAKE) $(PARALLEL) build/afl/fuzz_$* $(AFL_BUILD)
	tests/fuzz/run --afl --build build/afl --seconds $(FUZZ_SECONDS) $*

# How fast, on this machine, beside other routers: docs/bench.md. `bench` takes six minutes, `bench-full` half an hour; both
# write bench/results/. Routers that are not installed are left out: bench-deps brings all of them.
bench:
	tools/deps build
	$(MAKE) $(PARALLEL) all bench-programs
	HILUM=$(abspath $(BUILD)/hilum) bench/run
	HILUM=$(abspath $(BUILD)/hilum) TOOLS=$(abspath $(BUILD)/bench) bench/failover

bench-full:
	tools/deps build
	$(MAKE) $(PARALLEL) all bench-programs
	HILUM=$(abspath $(BUILD)/hilum) bench/run --full
	HILUM=$(abspath $(BUILD)/hilum) TOOLS=$(abspath $(BUILD)/bench) bench/failover

bench-deps:
	tools/deps bench

# setarch -R: the sanitizers of gcc 12 do not start on kernels that place memory more randomly than they expect.
run-tests: $(BUILD)/hilum $(PROGRAMS) $(SHIM) bench-programs
	$(if $(SAN),setarch -R )env HILUM=$(abspath $(BUILD)/hilum) HILUM_SANITIZE=$(SAN) \
	    tests/run $(PROGRAMS) --end-to-end tests/end_to_end/run

C_FILES = $(SOURCES) $(HEADERS) $(wildcard src/main.c) $(TESTS) $(SHARED) $(wildcard tests/fuzz/*.c tests/*/*.h tests/unit/*/*.h bench/*.[ch])

check:
	tools/deps build test check
	tools/check_floors.py --self-test
	tools/check_floors.py
	tools/check_headers.sh $(INCLUDE)
	@clang-format --dry-run -Werror $(C_FILES)
	luacheck -q $(RULES) $(EXAMPLES)
	cppcheck -q -j$(shell nproc) --std=c11 --enable=warning,performance,portability --inline-suppr \
	    --library=tools/cppcheck.cfg --error-exitcode=1 -D_GNU_SOURCE -Isrc src
	$(MAKE) $(PARALLEL) -k tidy

tidy: $(patsubst %.c,$(BUILD)/tidy/%.ok,src/main.c $(SOURCES))

$(BUILD)/tidy/%.ok: %.c $(HEADERS) .clang-tidy
	@mkdir -p $(@D)
	@echo 'clang-tidy $<'
	@clang-tidy --quiet $< -- $(INCLUDE) >$(@:.ok=.log) 2>&1 || { cat $(@:.ok=.log); exit 1; }
	@touch $@

format:
	@clang-format -i $(C_FILES)

deps:
	tools/deps build test check

install: $(BUILD)/hilum
	install -D -m 755 $(BUILD)/hilum $(DESTDIR)$(PREFIX)/bin/hilum
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/hilum/rules $(RULES)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/hilum/rules/examples $(EXAMPLES)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/hilum README.md LICENSE
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/hilum/docs $(wildcard docs/*.md)

fresh-test:
	tools/deps fresh
	tools/fresh_test.sh

clean:
	rm -rf build

.PHONY: all bench-programs run test asan tsan crash faults soak soak-ci unit programs coverage fuzz fuzz-ci fuzzers afl bench bench-full bench-deps run-tests check tidy format deps install fresh-test clean \
    $(FUZZERS:%=fuzz-%) $(FUZZERS:%=afl-%) FORCE
.DELETE_ON_ERROR:

# One Makefile for all: libriot.so, riotd, riotctl, their tests and checks. Output goes below build/.

VERSION   := 0.1.0
B         ?= build
CC        ?= gcc
ifeq ($(origin CC),default)
CC        := gcc
endif
PYTHON    := /usr/bin/python3
JOBS      := $(shell nproc 2>/dev/null || echo 2)

prefix     ?= /usr/local
exec_prefix ?= $(prefix)
bindir     ?= $(exec_prefix)/bin
sbindir    ?= $(exec_prefix)/sbin
libdir     ?= $(exec_prefix)/lib
sysconfdir ?= /etc
datadir    ?= $(prefix)/share
docdir     ?= $(datadir)/doc/riotd
mandir     ?= $(datadir)/man
unitdir    ?= $(prefix)/lib/systemd/system
catalogdir ?= $(prefix)/lib/systemd/catalog
sysusersdir ?= $(prefix)/lib/sysusers.d
tmpfilesdir ?= $(prefix)/lib/tmpfiles.d
bashcompdir ?= $(datadir)/bash-completion/completions
zshcompdir ?= $(datadir)/zsh/$(if $(filter /usr,$(prefix)),vendor-completions,site-functions)
fishcompdir ?= $(datadir)/fish/vendor_completions.d
INSTALL    ?= install

# SANITIZE=1 builds with ASan and UBSan; use it with another B.
ifdef SANITIZE
HARDEN   := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDHARDEN := -fsanitize=address,undefined
OPT      ?= -O1 -g
else
BRANCHES := $(if $(filter x86_64-%,$(shell $(CC) -dumpmachine)),-fcf-protection)
HARDEN   := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection $(BRANCHES)
LDHARDEN := -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
OPT      ?= -O2 -g
# Parts of the library that call one another for each key are compiled as one: 7 % fewer instructions. LTO= leaves it out, and clang's linker
# would need a plugin.
LTO      ?= $(if $(findstring clang,$(CC)),,-flto=auto)
endif

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
        -Wpointer-arith -Wwrite-strings -Wformat=2 -Wvla -Wundef -Wimplicit-fallthrough $(WERROR)

CPPFLAGS_ALL := -I. -D_GNU_SOURCE -DRIOT_VERSION='"$(VERSION)"' $(CPPFLAGS)
CFLAGS_ALL    = -std=c11 $(OPT) $(WARN) $(HARDEN) -fPIC -fno-semantic-interposition -MMD -MP $(CFLAGS)
LDFLAGS_ALL   = $(LDHARDEN) -Wl,--as-needed $(LDFLAGS)

LIB_SRC    := $(sort $(wildcard lib/*/*.c))
DAEMON_SRC := $(sort $(wildcard daemon/*.c))
CTL_SRC    := $(sort $(wildcard ctl/*.c))
UNIT_SRC   := $(sort $(wildcard tests/unit/*.c))
TOOL_SRC   := $(sort $(wildcard tests/tools/*.c))
FUZZ_SRC   := $(sort $(wildcard tests/fuzz/*.c))
BENCH_SRC  := $(sort $(wildcard tests/bench/*.c))

LIB_OBJ    := $(LIB_SRC:%.c=$(B)/obj/%.o)
DAEMON_OBJ := $(DAEMON_SRC:%.c=$(B)/obj/%.o)
CTL_OBJ    := $(CTL_SRC:%.c=$(B)/obj/%.o)
UNIT_OBJ   := $(UNIT_SRC:%.c=$(B)/obj/%.o)
TOOL_OBJ   := $(TOOL_SRC:%.c=$(B)/obj/%.o)
FUZZ_OBJ   := $(FUZZ_SRC:%.c=$(B)/obj/%.o)
LTO_OBJ    := $(filter $(B)/obj/lib/core/% $(B)/obj/lib/redis/% $(B)/obj/lib/copy/% $(B)/obj/lib/rdb/% $(B)/obj/lib/verify/%,$(LIB_OBJ))
BENCH_OBJ  := $(BENCH_SRC:%.c=$(B)/obj/%.o)
UNIT_BIN   := $(UNIT_SRC:tests/unit/%.c=$(B)/unit/%)
TOOL_BIN   := $(TOOL_SRC:tests/tools/%.c=$(B)/tools/%)
FUZZ_BIN   := $(FUZZ_SRC:tests/fuzz/%.c=$(B)/fuzz/%)
BENCH_BIN  := $(B)/bench/pipeline $(B)/bench/load

LIB_LIBS    := -levent_core -levent_extra -lhiredis -lxxhash -lssl -lcrypto
DAEMON_LIBS := -lyaml -lsystemd -ljansson
CTL_LIBS    := -ljansson -lhiredis

all: $(B)/riotd $(B)/riotctl

# Tests are compiled more often than they are run.
$(UNIT_OBJ) $(FUZZ_OBJ): OPT := -O1 -g

$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c $< -o $@

$(LTO_OBJ): CFLAGS_ALL += $(LTO)

$(B)/libriot.so: $(LIB_OBJ)
	$(CC) -shared $(filter-out -Werror,$(CFLAGS_ALL)) $(LTO) -Wl,-soname,libriot.so -Wl,-Bsymbolic $(LDFLAGS_ALL) $^ $(LIB_LIBS) -o $@

# RUNPATH: beside the program when run from the build tree, below lib/riotd when installed.
RUNPATH := -Wl,--enable-new-dtags -Wl,-rpath,'$$ORIGIN' -Wl,-rpath,'$$ORIGIN/../lib/riotd'

$(B)/riotd: $(DAEMON_OBJ) $(B)/libriot.so
	$(CC) -pie $(LDFLAGS_ALL) $(RUNPATH) $(DAEMON_OBJ) -L$(B) -lriot $(DAEMON_LIBS) -o $@

$(B)/riotctl: $(CTL_OBJ) $(B)/libriot.so
	$(CC) -pie $(LDFLAGS_ALL) $(RUNPATH) $(CTL_OBJ) -L$(B) -lriot $(CTL_LIBS) -o $@

# The programs' objects without main(), for their unit tests.
$(B)/libparts.a: $(filter-out %/main.o,$(DAEMON_OBJ) $(CTL_OBJ))
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/unit/%: $(B)/obj/tests/unit/%.o $(B)/libparts.a $(B)/libriot.so
	@mkdir -p $(@D)
	$(CC) -pie $(LDFLAGS_ALL) -Wl,-rpath,'$$ORIGIN/..' $< $(B)/libparts.a -L$(B) -lriot \
	    $(LIB_LIBS) $(DAEMON_LIBS) -lcheck -lsubunit -lm -lrt -lpthread -o $@

# Prints what the man pages and other documents take from the tables.
$(B)/tables: $(B)/obj/packaging/tables.o $(B)/libparts.a $(B)/libriot.so
	$(CC) -pie $(LDFLAGS_ALL) $(RUNPATH) $< $(B)/libparts.a -L$(B) -lriot $(LIB_LIBS) $(DAEMON_LIBS) -o $@

# Fuzz targets hold the library itself, so that the fuzzer sees its branches. Built by `make fuzz` with clang.
$(B)/fuzz/%: $(B)/obj/tests/fuzz/%.o $(B)/libparts.a $(LIB_OBJ)
	@mkdir -p $(@D)
	$(CC) -fsanitize=fuzzer $(LDFLAGS_ALL) $< $(B)/libparts.a $(LIB_OBJ) $(LIB_LIBS) $(DAEMON_LIBS) -o $@

$(B)/bench/%: $(B)/obj/tests/bench/%.o $(B)/obj/tests/bench/net.o
	@mkdir -p $(@D)
	$(CC) -pie $(LDFLAGS_ALL) $^ -o $@

# What tests run beside the programs.
$(B)/tools/%: $(B)/obj/tests/tools/%.o $(B)/libriot.so
	@mkdir -p $(@D)
	$(CC) -pie $(LDFLAGS_ALL) -Wl,-rpath,'$$ORIGIN/..' $< -L$(B) -lriot -o $@

unit: $(UNIT_BIN) $(TOOL_BIN)
objects: $(LIB_OBJ) $(DAEMON_OBJ) $(CTL_OBJ) $(UNIT_OBJ) $(TOOL_OBJ) $(FUZZ_OBJ) $(BENCH_OBJ) \
         $(B)/obj/packaging/tables.o

# --- what is needed, from Debian; nothing is called when nothing is missing

deps:
	@tests/deps.sh build demo

deps-check:
	@tests/deps.sh build demo check

deps-service:
	@tests/deps.sh build deb service

# --- to see it work

demo:
	@tests/deps.sh build demo
	@echo 'building riotd and riotctl ...'
	@$(MAKE) $(QUIET) all
	@$(PYTHON) tests/demo

# --- checks. The short forms are `check`; check-long has what takes minutes. PYTEST_ARGS goes to pytest.

# A make below another shares its jobs; asked for some of its own, it would warn.
QUIET       = --no-print-directory -s $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))
# Timing and memory are measured by tests that are marked `alone`; the others wait a lot, and run side by side.
PYTEST     := $(PYTHON) -B -m pytest -p no:cacheprovider
BESIDE     ?= -n 5
SHORT      := not long and not alone
ALONE      := not long and alone
SUITE      ?= tests/integration

check:
	@tests/deps.sh build demo check
	@$(MAKE) $(QUIET) WERROR=-Werror all unit objects
	@$(MAKE) $(QUIET) LINTED=gcc lint
	@$(MAKE) $(QUIET) check-unit
	@$(MAKE) $(QUIET) check-integration

check-unit: unit
	@tests/unit/run $(B)/unit

check-integration: all $(TOOL_BIN) $(BENCH_BIN)
	RIOT_BUILD=$(B) $(PYTEST) $(BESIDE) -m '$(SHORT)' $(PYTEST_ARGS) $(SUITE); beside=$$?; \
	RIOT_BUILD=$(B) $(PYTEST) -m '$(ALONE)' $(PYTEST_ARGS) $(SUITE) && [ $$beside -eq 0 ]

check-long: all $(TOOL_BIN) $(BENCH_BIN)
	RIOT_BUILD=$(B) $(PYTEST) -m long $(PYTEST_ARGS) $(SUITE)
	@$(MAKE) --no-print-directory fuzz FUZZ=payload

# Each rule of the design has a patch that breaks it, and tests that then must fail.
check-rules:
	@tests/rules/run

# What must hold, with the feed psync, on this machine's server and on the newest Redis and Valkey that Debian has; long. SERVERS names some.
check-versions: all $(TOOL_BIN) $(BENCH_BIN)
	@RIOT_BUILD=$(B) tests/versions.sh $(SERVERS)

# The package in a booted Debian, under a real systemd; root only. The Debian is made once, which takes a minute. Another suite's package, which
# check-deb makes: RIOT_SUITE=trixie RIOT_DEB=build/check-deb/trixie.debs/riotd_VERSION_ARCH.deb
ifeq ($(RIOT_SKIP_SERVICE_TESTS),1)
check-service:
	@echo 'service: left out, as RIOT_SKIP_SERVICE_TESTS=1 wants it'
else
check-service:
	@tests/service/can-boot
	@$(MAKE) $(QUIET) deps-service
	@[ -n "$(RIOT_DEB)" ] || $(MAKE) $(QUIET) deb
	$(PYTEST) $(PYTEST_ARGS) tests/service
endif

# A clone in fresh Debian roots; root only, and long. SUITES names them.
check-fresh:
	@tests/fresh.sh $(SUITES)

# The package, in such roots.
check-deb:
	@tests/package.sh $(SUITES)

SANITIZED := ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:exitcode=99 \
             UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 CK_TIMEOUT_MULTIPLIER=4

asan:
	@$(MAKE) $(QUIET) SANITIZE=1 B=build/asan all unit benchers
	@$(SANITIZED) tests/unit/run build/asan/unit
	RIOT_BUILD=build/asan RIOT_SANITIZED=1 $(SANITIZED) \
	    $(PYTEST) $(BESIDE) -m '$(SHORT)' $(PYTEST_ARGS) $(SUITE)

# Rewrites what the documents take from the tables; `make lint` fails where that is not current.
docs: $(B)/tables
	@RIOT_BUILD=$(B) packaging/docs.py

# What clang warns of its front end knows: without code it takes a third of the time.
lint: $(B)/tables
	@RIOT_BUILD=$(B) tests/lint/run
	@[ "$(LINTED)" = gcc ] || $(MAKE) $(QUIET) B=build/lint-gcc CC=gcc OPT=-O1 LTO= WERROR=-Werror objects
	@echo 'lint: gcc: ok'
	@$(MAKE) $(QUIET) B=build/lint-clang CC=clang-19 OPT='-O1 -fsyntax-only' WERROR=-Werror objects
	@echo 'lint: clang: ok'

format:
	clang-format-19 -i $(shell find lib daemon ctl packaging tests -name '*.[ch]')

# FUZZ names the targets; what stands below tests/fuzz/corpus/NAME is where one begins.
FUZZ_TIME ?= 60
FUZZ      ?= $(FUZZ_SRC:tests/fuzz/%.c=%)
fuzz:
	@tests/deps.sh build fuzz
	@$(MAKE) $(QUIET) B=build/fuzz CC=clang-19 OPT='-O1 -g' LDHARDEN=-fsanitize=address,undefined \
	    HARDEN='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer' fuzzers
	@set -e; for name in $(FUZZ); do \
	    mkdir -p build/fuzz/corpus/$$name; echo "fuzz: $$name"; seeds=tests/fuzz/corpus/$$name; [ -d $$seeds ] || seeds=; \
	    build/fuzz/fuzz/$$name -max_total_time=$(FUZZ_TIME) -print_final_stats=0 -verbosity=0 build/fuzz/corpus/$$name $$seeds; done
fuzzers: $(FUZZ_BIN)

# How fast it is beside what the servers can do: a table, and $(B)/bench.json. BENCH=quick is the short form, CASES names some cases,
# PEER_SHAKE a redis-shake to run beside; BENCH_ARGS=--help tells more.
bench:
	@tests/deps.sh build demo
	@$(MAKE) $(QUIET) all benchers
	@RIOT_BUILD=$(B) $(PYTHON) tests/bench/bench.py $(BENCH_ARGS)
benchers: $(BENCH_BIN)

# --- the rest

# build/deb/riotd_VERSION_ARCH.deb, and lintian's word on it.
deb:
	@tests/deps.sh build deb
	@packaging/make-deb $(VERSION)

# Copies $(1) to $(2), with the folders' names filled in.
define install_filled
	sed 's|@bindir@|$(bindir)|g; s|@sbindir@|$(sbindir)|g; s|@sysconfdir@|$(sysconfdir)|g' $(1) > $(B)/filled
	$(INSTALL) -D -m 644 $(B)/filled $(DESTDIR)$(2)
endef

install: all
	$(INSTALL) -D -m 755 $(B)/riotd $(DESTDIR)$(sbindir)/riotd
	$(INSTALL) -D -m 755 $(B)/riotctl $(DESTDIR)$(bindir)/riotctl
	$(INSTALL) -D -m 644 $(B)/libriot.so $(DESTDIR)$(libdir)/riotd/libriot.so
	$(INSTALL) -D -m 644 conf/riotd.yaml $(DESTDIR)$(docdir)/examples/riotd.yaml
	$(INSTALL) -D -m 644 conf/source.acl $(DESTDIR)$(docdir)/examples/source.acl
	$(INSTALL) -D -m 644 conf/target.acl $(DESTDIR)$(docdir)/examples/target.acl
	$(call install_filled,packaging/systemd/riotd@.service,$(unitdir)/riotd@.service)
	$(call install_filled,packaging/systemd/riotd.target,$(unitdir)/riotd.target)
	$(call install_filled,packaging/systemd/riotd.sysusers,$(sysusersdir)/riotd.conf)
	$(call install_filled,packaging/systemd/riotd.tmpfiles,$(tmpfilesdir)/riotd.conf)
	$(INSTALL) -D -m 644 packaging/man/riotd.8 $(DESTDIR)$(mandir)/man8/riotd.8
	$(INSTALL) -D -m 644 packaging/man/riotctl.1 $(DESTDIR)$(mandir)/man1/riotctl.1
	$(INSTALL) -D -m 644 packaging/man/riotd.yaml.5 $(DESTDIR)$(mandir)/man5/riotd.yaml.5
	$(INSTALL) -D -m 644 packaging/journal/riotd.catalog $(DESTDIR)$(catalogdir)/riotd.catalog
	$(INSTALL) -D -m 644 packaging/completion/riotctl.bash $(DESTDIR)$(bashcompdir)/riotctl
	ln -sf riotctl $(DESTDIR)$(bashcompdir)/riotd
	$(INSTALL) -D -m 644 packaging/completion/_riotctl $(DESTDIR)$(zshcompdir)/_riotctl
	$(INSTALL) -D -m 644 packaging/completion/riotctl.fish $(DESTDIR)$(fishcompdir)/riotctl.fish
	ln -sf riotctl.fish $(DESTDIR)$(fishcompdir)/riotd.fish

clean:
	rm -rf build

.PHONY: all unit objects deps deps-check deps-service demo check check-unit check-integration check-long check-rules \
        check-versions check-service check-fresh check-deb asan lint docs format fuzz fuzzers bench benchers deb install clean
.SECONDARY:
-include $(LIB_OBJ:.o=.d) $(DAEMON_OBJ:.o=.d) $(CTL_OBJ:.o=.d) $(UNIT_OBJ:.o=.d) $(TOOL_OBJ:.o=.d) $(FUZZ_OBJ:.o=.d)
-include $(BENCH_OBJ:.o=.d) $(B)/obj/packaging/tables.d

# One Makefile for all: libriot.so, riotd, riotctl, their tests and checks. Output goes below build/.

VERSION   := 0.1.0
B         ?= build
CC        ?= gcc
ifeq ($(origin CC),default)
CC        := gcc
endif
PKGCONF   ?= pkg-config
PYTHON    := /usr/bin/python3

prefix     ?= /usr/local
exec_prefix ?= $(prefix)
bindir     ?= $(exec_prefix)/bin
sbindir    ?= $(exec_prefix)/sbin
libdir     ?= $(exec_prefix)/lib
sysconfdir ?= /etc
INSTALL    ?= install

# SANITIZE=1 builds with ASan and UBSan; use it with another B.
ifdef SANITIZE
HARDEN   := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDHARDEN := -fsanitize=address,undefined
OPT      ?= -O1 -g
else
HARDEN   := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fcf-protection
LDHARDEN := -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
OPT      ?= -O2 -g
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

LIB_OBJ    := $(LIB_SRC:%.c=$(B)/obj/%.o)
DAEMON_OBJ := $(DAEMON_SRC:%.c=$(B)/obj/%.o)
CTL_OBJ    := $(CTL_SRC:%.c=$(B)/obj/%.o)
UNIT_OBJ   := $(UNIT_SRC:%.c=$(B)/obj/%.o)
UNIT_BIN   := $(UNIT_SRC:tests/unit/%.c=$(B)/unit/%)

LIB_LIBS    := -levent_core -levent_extra -lhiredis
DAEMON_LIBS := -lyaml -lsystemd -ljansson
CTL_LIBS    := -ljansson -lhiredis

all: $(B)/riotd $(B)/riotctl

$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c $< -o $@

$(B)/libriot.so: $(LIB_OBJ)
	$(CC) -shared -Wl,-soname,libriot.so -Wl,-Bsymbolic $(LDFLAGS_ALL) $^ $(LIB_LIBS) -o $@

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

.PHONY: all unit clean
unit: $(UNIT_BIN)

clean:
	rm -rf build

.SECONDARY:
-include $(LIB_OBJ:.o=.d) $(DAEMON_OBJ:.o=.d) $(CTL_OBJ:.o=.d) $(UNIT_OBJ:.o=.d)

"""Every command that changes something, as it is used: a table of invocations, each with what must be there before it.

A line is commands between semicolons; the last is the one in question. %a is a key of this invocation alone, OTHER another database, and a
field "soon" one that expires at once. $name is filled in when it is run: $dump (a string's payload), $functions (those of FUNCTION DUMP),
$library (the source of one), $peer (host and port of another server), $empty.
"""

from kit.resp import RespError, encode
from kit.wait import until

SOON_MS = 5000
OTHER = 9  # a database that no invocation begins in

LIBRARY = "#!lua name={name}\nredis.register_function('{name}', function(keys) return redis.call('SET', keys[1], 'by a function') end)"
EVAL = "return redis.call(unpack(ARGV))"
ELSEWHERE = f"redis.call('SELECT', {OTHER}); {EVAL}"

CASES = """
SET %a v
SET %a v EX 1000
SET %a old EX 1000; SET %a v KEEPTTL
SET %a old; SET %a v GET
SET %a v PX 1
SETEX %a 1000 v
PSETEX %a 1000000 v
SETNX %a v
SET %a v; GETSET %a w
SET %a v; GETDEL %a
SET %a v; GETEX %a EX 1000
SET %a v EX 1000; GETEX %a PERSIST
SET %a v; APPEND %a w
SET %a v; SETRANGE %a 5 w
SETBIT %a 7 1
BITFIELD %a SET u8 0 255
SET %a a; SET %b b; BITOP OR %d %a %b
SET %d d; BITOP AND %d %a %b
MSET %a 1 %b 2 %c 3
MSETNX %a 1 %b 2
MSETEX 2 %a 1 %b 2 EX 1000
INCR %a
INCRBY %a 5
DECR %a
DECRBY %a 5
INCRBYFLOAT %a 0.5
SET %a v; DELIFEQ %a v
SET %a v; DELEX %a
SET %a v; SET %b v; DEL %a %none %b
SET %a v; UNLINK %a
SET %a v; SET %b w; RENAME %a %b
SET %a v; RENAMENX %a %b
SET %a v; COPY %a %b
SET %a v; COPY %a %b DB OTHER
SET %a v; COPY %a %b DB OTHER REPLACE
SET %a v; MOVE %a OTHER
SET %a v; EXPIRE %a 1000
SET %a v; EXPIRE %a -1
SET %a v; PEXPIRE %a 1000000
SET %a v; PEXPIRE %a 1
SET %a v; EXPIREAT %a 4102444800
SET %a v; PEXPIREAT %a 4102444800000
SET %a v EX 1000; PERSIST %a
RESTORE %a 0 $dump
SET %a v; RESTORE %a 1000000 $dump REPLACE
RESTORE-ASKING %a 0 $dump
SET %a v; MIGRATE $peer %a 0 5000
SET %a v; SET %b v; MIGRATE $peer $empty 0 5000 KEYS %a %b
RPUSH %a 3 1 2; SORT %a STORE %d
RPUSH %a 3 1 2; SORT %a BY nosort GET # LIMIT 0 2 ALPHA STORE %d
SET %d old; SORT %a STORE %d
LPUSH %a 1 2
RPUSH %a 1 2
RPUSH %a 1; LPUSHX %a 2
RPUSH %a 1; RPUSHX %a 2
RPUSH %a 1; LINSERT %a BEFORE 1 0
RPUSH %a 1; LSET %a 0 2
RPUSH %a 1 2 1; LREM %a 0 1
RPUSH %a 1 2 3; LTRIM %a 0 0
RPUSH %a 1 2 3; LTRIM %a 5 6
RPUSH %a 1 2; LPOP %a
RPUSH %a 1 2; LPOP %a 2
RPUSH %a 1 2; RPOP %a
RPUSH %a 1 2; RPOPLPUSH %a %b
RPUSH %a 1 2; LMOVE %a %b LEFT RIGHT
RPUSH %b 1 2; LMPOP 2 %a %b LEFT COUNT 2
RPUSH %b 1 2; BLPOP %a %b 1
RPUSH %a 1 2; BRPOP %a %b 1
RPUSH %a 1 2; BRPOPLPUSH %a %b 1
RPUSH %a 1 2; BLMOVE %a %b RIGHT LEFT 1
RPUSH %b 1 2; BLMPOP 1 2 %a %b RIGHT
SADD %a x y
SADD %a x y; SREM %a x
SADD %a x y z; SPOP %a
SADD %a x y z; SPOP %a 2
SADD %a x y z; SPOP %a 3
SADD %a x y; SMOVE %a %b x
SADD %a x y; SADD %b y z; SINTERSTORE %d %a %b
SADD %a x; SADD %d old; SINTERSTORE %d %a %none
SADD %a x y; SADD %b y z; SUNIONSTORE %d %a %b
SADD %a x y; SADD %b y z; SDIFFSTORE %d %a %b
ZADD %a 1 x 2 y
ZADD %a 1 x; ZADD %a GT CH 5 x
ZADD %a 1 x; ZINCRBY %a 2 x
ZADD %a 1 x 2 y; ZREM %a x
ZADD %a 1 x 2 y; ZREMRANGEBYSCORE %a 1 1
ZADD %a 1 x 2 y; ZREMRANGEBYRANK %a 0 0
ZADD %a 0 x 0 y; ZREMRANGEBYLEX %a [x [x
ZADD %a 1 x 2 y; ZPOPMIN %a
ZADD %a 1 x 2 y; ZPOPMAX %a 2
ZADD %b 1 x 2 y; ZMPOP 2 %a %b MIN
ZADD %b 1 x 2 y; BZPOPMIN %a %b 1
ZADD %a 1 x 2 y; BZPOPMAX %a %b 1
ZADD %b 1 x 2 y; BZMPOP 1 2 %a %b MAX COUNT 2
ZADD %a 1 x; ZADD %b 2 y; ZUNIONSTORE %d 2 %a %b WEIGHTS 2 3
ZADD %a 1 x; ZADD %b 2 x; ZINTERSTORE %d 2 %a %b AGGREGATE MAX
ZADD %a 1 x; ZADD %b 2 y; ZDIFFSTORE %d 2 %a %b
ZADD %a 1 x 2 y; ZRANGESTORE %d %a 0 0
GEOADD %a 13.36 38.11 Palermo
GEOADD %a 13.36 38.11 Palermo; GEORADIUS %a 15 37 200 km STORE %d
GEOADD %a 13.36 38.11 Palermo; GEORADIUS %a 15 37 200 km COUNT 3 ASC STOREDIST %d
GEOADD %a 13.36 38.11 store; GEORADIUSBYMEMBER %a store 200 km STORE %d
GEOADD %a 13.36 38.11 Palermo; GEOSEARCHSTORE %d %a FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST
HSET %a f v
HMSET %a f v g w
HSETNX %a f v
HSET %a f v g w; HDEL %a f
HINCRBY %a f 1
HINCRBYFLOAT %a f 0.5
HSET %a f v; HEXPIRE %a 1000 FIELDS 1 f
HSET %a f v; HPEXPIRE %a 1000000 FIELDS 1 f
HSET %a soon v g w; HPEXPIRE %a 1 FIELDS 1 soon
HSET %a f v; HEXPIREAT %a 4102444800 FIELDS 1 f
HSET %a f v; HPEXPIREAT %a 4102444800000 FIELDS 1 f
HSET %a soon v g w; HPEXPIREAT %a 1 FIELDS 1 soon
HSET %a f v; HEXPIRE %a 1000 FIELDS 1 f; HPERSIST %a FIELDS 1 f
HSET %a f v; HGETEX %a EX 1000 FIELDS 1 f
HSETEX %a EX 1000 FIELDS 1 f v
HSET %a f v g w; HGETDEL %a FIELDS 1 f
PFADD %a x y
PFADD %a x; PFADD %b y; PFMERGE %d %a %b
PFADD %a x; PFCOUNT %a
PFADD %a x; PFDEBUG TODENSE %a
XADD %a * f v
XADD %a 1-1 f v; XADD %a MAXLEN 1 2-1 f v
XADD %a 1-1 f v; XADD %a 2-1 f v; XTRIM %a MAXLEN 1
XADD %a 1-1 f v; XADD %a 2-1 f v; XDEL %a 1-1
XADD %a 1-1 f v; XSETID %a 5-1
XGROUP CREATE %a g $ MKSTREAM
XGROUP CREATE %a g $ MKSTREAM; XGROUP SETID %a g 1-1
XGROUP CREATE %a g $ MKSTREAM; XGROUP CREATECONSUMER %a g c
XGROUP CREATE %a g $ MKSTREAM; XGROUP DESTROY %a g
XADD %a 1-1 f v; XGROUP CREATE %a g 0; XREADGROUP GROUP g c STREAMS %a >; XGROUP DELCONSUMER %a g c
XADD %a 1-1 f v; XGROUP CREATE %a g 0; XREADGROUP GROUP g c COUNT 1 STREAMS %a >
XADD %a 1-1 f v; XGROUP CREATE %a g 0; XREADGROUP GROUP g c NOACK STREAMS %a >
XADD %a 1-1 f v; XGROUP CREATE %a g 0; XREADGROUP GROUP g c STREAMS %a >; XACK %a g 1-1
XADD %a 1-1 f v; XGROUP CREATE %a g 0; XREADGROUP GROUP g c STREAMS %a >; XCLAIM %a g d 0 1-1
XADD %a 1-1 f v; XGROUP CREATE %a g 0; XREADGROUP GROUP g c STREAMS %a >; XCLAIM %a g d 0 1-1 JUSTID
XADD %a 1-1 f v; XGROUP CREATE %a g 0; XREADGROUP GROUP g c STREAMS %a >; XAUTOCLAIM %a g d 0 0
XADD %a 1-1 f v; XDELEX %a IDS 1 1-1
XADD %a 1-1 f v; XGROUP CREATE %a g 0; XREADGROUP GROUP g c STREAMS %a >; XACKDEL %a g IDS 1 1-1
VADD %a VALUES 3 1 2 3 e
VADD %a VALUES 3 1 2 3 e; VADD %a VALUES 3 1 2 4 f; VREM %a e
VADD %a VALUES 3 1 2 3 e; VSETATTR %a e {"x":1}
PUBLISH channel message
SPUBLISH channel message
"""

# These reach beyond keys of their own.
WHOLE = """
SET %a v; FLUSHDB
SET %a v; FLUSHDB ASYNC
SET %a v; FLUSHALL
SET %a v; SWAPDB 0 OTHER
FUNCTION LOAD $library
FUNCTION LOAD REPLACE $library
FUNCTION LOAD $library; FUNCTION DELETE riot_matrix
FUNCTION LOAD $library; FUNCTION FLUSH
FUNCTION RESTORE $functions REPLACE
SCRIPT LOAD return
"""

# Waits, then another client's command serves it.
BLOCKED = """
BLPOP %a %b 0 | RPUSH %b x y
BRPOP %a 0 | LPUSH %a x
BLMOVE %a %b LEFT RIGHT 0 | RPUSH %a x
BRPOPLPUSH %a %b 0 | RPUSH %a x y
BLMPOP 0 2 %a %b LEFT | RPUSH %b x
BZPOPMIN %a 0 | ZADD %a 1 x
BZPOPMAX %a 0 | ZADD %a 1 x 2 y
BZMPOP 0 1 %a MIN | ZADD %a 1 x
XGROUP CREATE %a g $ MKSTREAM; XREADGROUP GROUP g c BLOCK 0 STREAMS %a > | XADD %a * f v
"""

# In no table above, and why that is right.
LEFT_OUT = {
    "cluster|flushslot": "of clusters only; it does not name its keys, and is a gap",
}

# How a command is sent; the last by a script that changes the database.
MODES = ("plain", "multi", "eval", "elsewhere")


class Case:
    """One line. words() of a command have their keys and what is filled in."""

    def __init__(self, line):
        self.line = line
        first, _, self.server_line = line.partition(" | ")  # what another client sends then
        *self.setup_lines, self.last_line = first.split("; ")

    def __repr__(self):
        return self.line

    @property
    def command(self):
        return self.last_line.split()[0]

    @property
    def names(self):
        """As COMMAND has it, in lower case: of a container, with the subcommand and without."""
        words = self.last_line.lower().split()
        return {words[0], "|".join(words[:2])}


def cases(table):
    return [Case(line) for line in table.strip().splitlines()]


class Filler:
    """Makes words of lines: the keys of one run of one case, and what a server knows."""

    def __init__(self, server, peer=None, library="riot_matrix"):
        self.library = LIBRARY.format(name=library)
        self.peer = ["127.0.0.1", str(peer.port)] if peer else ["127.0.0.1", "1"]
        with server.raw() as client:
            self.dump = dump_of(client, ("SET", "riot:filler", "a value"), ("DUMP", "riot:filler"), ("DEL", "riot:filler"))
            load = ("FUNCTION", "LOAD", LIBRARY.format(name="restored"))
            self.functions = dump_of(client, load, ("FUNCTION", "DUMP"), ("FUNCTION", "DELETE", "restored"))

    def words(self, line, prefix):
        filled = {"$dump": [self.dump], "$functions": [self.functions], "$library": [self.library], "$peer": self.peer,
                  "$empty": [""], "OTHER": [str(OTHER)]}
        words = []
        for word in line.split():
            if word.startswith("%"):
                words.append(f"{prefix}{word[1:]}")
            else:
                words += filled.get(word, [word])
        return words


def dump_of(client, make, dump, unmake):
    """None where the server has no such thing."""
    reply = client.pipeline([make, dump, unmake])[1]
    return b"" if isinstance(reply, RespError) else reply


def run(client, words, mode="plain"):
    """One command, in one of MODES. Its error, or None."""
    if mode == "multi":
        replies = client.pipeline([("MULTI",), words, ("EXEC",)])
        replies += replies[2] if isinstance(replies[2], list) else []
    elif mode in ("eval", "elsewhere"):
        replies = client.pipeline([("EVAL", EVAL if mode == "eval" else ELSEWHERE, 0, *words)])
    else:
        replies = client.pipeline([words])
    return next((r for r in replies if isinstance(r, RespError)), None)


class Trial:
    """A case on a server, in one of MODES, from a database, with keys of its own."""

    def __init__(self, server, filler, case, mode, db, prefix):
        self.server, self.filler, self.case, self.mode, self.db, self.prefix = server, filler, case, mode, db, prefix
        self.words = filler.words(case.last_line, prefix)
        self.home = OTHER if mode == "elsewhere" else db

    def __repr__(self):
        return f"{self.case} ({self.mode}, db {self.db})"

    @property
    def keys(self):
        """Names of the keys in it."""
        words = self.words + self.filler.words(self.case.server_line, self.prefix)
        return {word.encode() for word in words if isinstance(word, str) and word.startswith(self.prefix)}

    def set_up(self):
        """False: the server lacks something of it."""
        with self.server.raw(self.home) as client:
            return not any(run(client, self.filler.words(line, self.prefix)) for line in self.case.setup_lines)

    def act(self):
        """The command in question. Its error, or None."""
        with self.server.raw(self.db) as client:
            if self.case.server_line:
                return self._serve()
            error = run(client, self.words, self.mode)
        if not error:
            self._expire()
        return error

    def _serve(self):
        if not self.server.has(self.case.command):
            return RespError("not known")
        with self.server.raw(self.home) as waits, self.server.raw(self.db) as serves:
            waits.send(encode(*self.words))
            until(lambda: self.server.info("clients")["blocked_clients"] == "1", 10, f"{self} waits")
            error = run(serves, self.filler.words(self.case.server_line, self.prefix), self.mode)
            reply = waits.read()
            return error or (reply if isinstance(reply, RespError) else None)

    def _expire(self):
        """Waits until what expires at once is gone."""
        with self.server.raw(self.home) as client:
            for key in self.keys:
                until(lambda key=key: not self._expires(client, key), 10, f"{self}: {key} expires")

    @staticmethod
    def _expires(client, key):
        """Soon; or it has a field that does, which a hash does not show but still holds."""
        left, dump = client.pipeline([("PTTL", key), ("DUMP", key)])
        return 0 <= left < SOON_MS or b"soon" in (dump or b"")


def rows_of(server):
    """What COMMAND says: {name: row}, subcommands as "name|sub", in lower case."""
    with server.raw() as client:
        rows = client.call("COMMAND")
    rows += [sub for row in rows if len(row) > 9 for sub in row[9]]
    return {row[0].decode().lower(): row for row in rows}


def writing_commands(server):
    """Names of all that may write; of a container, the subcommands that do."""
    return {name for name, row in rows_of(server).items() if b"write" in row[2]}

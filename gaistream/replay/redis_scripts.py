"""The calls of a `RedisLog` as Lua scripts, each of which Redis runs as one step.

A stream has three keys, all with the hash tag `{stream}`, so that a Cluster keeps them together:

    :s  a Redis stream; an entry is a batch: the id is `<epoch>-<seq of its last record>`, the name
        of its only field is the number of bytes up to its end, and the value the packed records
    :m  a hash: e(poch), l(ease) and u(ntil) in milliseconds of Redis's clock, s(topping),
        k(ind) and g, the message, of its end, b(ytes) that were trimmed; or only e, if dropped
    :o  exists while an order to stop waits for its stream to begin

`:s` and `:o` are also the channels that are published to, for records and for orders to stop.
Redis refuses an entry whose id is not above the last one. So a plain XADD to a generation that was
replaced is refused, for its epoch is smaller; and to one that has ended or is to stop, for the last
id is then set to the greatest. The scripts know why. Every key has a time to live.
"""

from __future__ import annotations

import hashlib
from typing import Final

from .log import PAGE_BYTES, STOP_SECONDS

LEASE_SLACK: Final = 16  # a lease is renewed once a 16th of it has passed, and is a 16th longer

_PRELUDE: Final = """
local S, M, O = KEYS[1], KEYS[2], KEYS[3]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local max_age = tonumber(ARGV[1])
local m = redis.call('HMGET', M, 'e', 'l', 'u', 's', 'k', 'g', 'b')
local epoch, lease, ends, stopping = m[1], tonumber(m[2]), tonumber(m[3]), m[4] and 1 or 0
local kind, message = m[5], m[6]
local live = ends and redis.call('EXISTS', S) == 1
local function whole(number) return string.format('%.0f', number) end
local function keep(milliseconds)
    redis.call('PEXPIRE', S, whole(milliseconds))
    redis.call('PEXPIRE', M, whole(milliseconds))
end
local function publish()
    redis.call('PUBLISH', S, '')
    redis.call('PUBLISH', O, '')
end
local function refuse_plain_entries()
    redis.call('XSETID', S, epoch .. '-18446744073709551615')
end
local function finish(new_kind, new_message)
    redis.call('HSET', M, 'k', new_kind, 'g', new_message)
    refuse_plain_entries()
    keep(max_age)
    publish()
end
local function seq_of(entry) return tonumber(string.match(entry[1], '-(%d+)$')) end
local function newest()
    local last = redis.call('XREVRANGE', S, '+', '-', 'COUNT', 1)[1]
    if not last then return 0, 0 end
    return seq_of(last), tonumber(last[2][1])
end
if live and not kind and ends <= now then
    kind, message = 'producer_lost', ''
    pcall(finish, kind, message)
end
"""
_FENCED: Final = """
if not live or epoch ~= ARGV[2] then return {-2, live and epoch or ''} end
if kind then return {-3, kind} end
"""
_BEGIN: Final = """
if live and not kind and ARGV[3] == '0' then return {-1} end
lease = tonumber(ARGV[2])
local new = whole(math.max(now, tonumber(ARGV[4]), (tonumber(epoch) or 0) + 1))
redis.call('HSET', M, 'e', new) -- first what Redis refuses without memory
local stop = redis.call('DEL', O) == 1
redis.call('DEL', S, M)
redis.call('XADD', S, new .. '-0', '0', '')
redis.call('XDEL', S, new .. '-0')
redis.call('HSET', M, 'e', new, 'l', whole(lease), 'u', whole(now + lease * SLACK), 'b', '0')
if stop then redis.call('HSET', M, 's', '1') end
keep(lease * SLACK + max_age)
publish()
return {new, stop and 1 or 0}
"""
_APPEND: Final = (
    _FENCED.replace("ARGV[2]", "ARGV[4]")
    + """
local n, bytes = newest()
if #ARGV > 5 and tonumber(ARGV[5]) ~= n + 1 then return {-4, n} end
if stopping == 1 and #ARGV > 5 then redis.call('XSETID', S, epoch .. '-' .. whole(n)) end
for index = 6, #ARGV, 3 do
    n, bytes = n + ARGV[index], bytes + ARGV[index + 1]
    redis.call('XADD', S, epoch .. '-' .. whole(n), whole(bytes), ARGV[index + 2])
end
local most, most_bytes = tonumber(ARGV[2]), tonumber(ARGV[3])
local base, oldest = tonumber(m[7]) or 0, 1
local function first_of(entry)
    local _, count = struct.unpack('<BI4', entry[2][2])
    return seq_of(entry) - count + 1
end
local slack, slack_bytes = 0, 0
while true do
    local entries = redis.call('XRANGE', S, '-', '+', 'COUNT', 16)
    if #entries == 0 then break end
    oldest = first_of(entries[1])
    if n - oldest < most and bytes - base <= most_bytes then break end
    slack, slack_bytes = math.min(most / 16, 1024), math.min(most_bytes / 16, 262144)
    local drop = 0
    for index = 1, #entries - 1 do
        if n - oldest < most - slack and bytes - base <= most_bytes - slack_bytes then break end
        base, oldest, drop = tonumber(entries[index][2][1]), first_of(entries[index + 1]), index
    end
    if drop == 0 then break end
    redis.call('XTRIM', S, 'MAXLEN', redis.call('XLEN', S) - drop)
    redis.call('HSET', M, 'b', whole(base))
    if drop < #entries - 1 then break end
end
if stopping == 1 then refuse_plain_entries() end
redis.call('HSET', M, 'u', whole(now + lease * SLACK))
keep(lease * SLACK + max_age)
if #ARGV > 5 then redis.call('PUBLISH', S, '') end
return {n, stopping, lease, bytes, most - (n - oldest + 1), most_bytes - (bytes - base)}
"""
)
_CLOSE: Final = (
    """
if live and epoch == ARGV[2] and kind and kind ~= 'producer_lost' then return {0} end
"""
    + _FENCED
    + """
finish(ARGV[3], ARGV[4])
return {0}
"""
)
_STOP: Final = """
if ARGV[2] == '' and (not live or kind) then
    redis.call('SET', O, '1', 'PX', STOP_MILLISECONDS)
    return 'pending'
end
if not live or (ARGV[2] ~= '' and tonumber(ARGV[2]) > tonumber(epoch)) then return 'unknown' end
if kind or (ARGV[2] ~= '' and ARGV[2] ~= epoch) then return 'ended' end
redis.call('HSET', M, 's', '1')
refuse_plain_entries()
publish()
return 'stopping'
"""
_READ: Final = """
if not live then return {} end
local n = newest()
local function count_of(entry)
    local _, count = struct.unpack('<BI4', entry[2][2])
    return count
end
local first = redis.call('XRANGE', S, '-', '+', 'COUNT', 1)[1]
local oldest = first and seq_of(first) - count_of(first) + 1 or n + 1
local start, seq = oldest, tonumber(ARGV[3])
if (ARGV[2] == '' or ARGV[2] == epoch) and seq <= n and seq + 1 >= oldest then start = seq + 1 end
local left = kind and -1 or math.min(ends - now, lease)
local page = {epoch, n, oldest, kind or '', message or '', stopping, left}
local limit, bytes, next = tonumber(ARGV[4]), 0, start
while next <= n and next - start < limit and bytes < PAGE_BYTES do
    local entries = redis.call('XRANGE', S, epoch .. '-' .. whole(next), '+', 'COUNT', 16)
    if #entries == 0 then break end
    for _, entry in ipairs(entries) do
        if next - start >= limit or bytes >= PAGE_BYTES then break end
        page[#page + 1] = seq_of(entry) - count_of(entry) + 1
        page[#page + 1] = entry[2][2]
        bytes, next = bytes + #entry[2][2], seq_of(entry) + 1
    end
end
return page
"""
_EXPIRE: Final = """
if not live then return 0 end
redis.call('DEL', S, M)
redis.call('HSET', M, 'e', epoch)
redis.call('PEXPIRE', M, whole(math.max(max_age, 60000)))
publish()
return 1
"""


class Script:
    """A script, and the digest by which Redis knows it once it was sent."""

    def __init__(self, body: str, prelude: str = _PRELUDE) -> None:
        text = (prelude + body).replace("STOP_MILLISECONDS", str(int(STOP_SECONDS * 1000)))
        text = text.replace("PAGE_BYTES", str(PAGE_BYTES))
        self.text = text.replace("SLACK", str(1 + 1 / LEASE_SLACK)).encode()
        self.digest = hashlib.sha1(self.text, usedforsecurity=False).hexdigest().encode()


BEGIN: Final = Script(_BEGIN)
APPEND: Final = Script(_APPEND)
CLOSE: Final = Script(_CLOSE)
STOP: Final = Script(_STOP)
READ: Final = Script(_READ)
EXPIRE: Final = Script(_EXPIRE)
WAKE: Final = Script("return redis.call('PUBLISH', KEYS[1], '')", "")

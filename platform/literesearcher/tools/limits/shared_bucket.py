"""The token bucket of all processes on one Redis, by the server's clock; without Redis, the bucket of this process.

Owns: the script and its keys, which expire. Refuses to know: who waits. Below: `tools.redis_link`.

Processes ask for their own tenants, one after the other, so the script has to keep a token for a tenant that waits in
another process. It notes who was sent away and when that one will ask again; until then nobody else gets further ahead
of it (in the fair queueing of `limits.bucket`) than what the rate gives in `_LEAD_SECONDS`. That lead keeps the rate in
use between two askings, and is the most that fairness is off by; a waiter that died holds the others up for no longer.
Where Redis is away each process has the whole rate: better a provider's 429, which is obeyed, than no tools.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from literesearcher.tools.limits.bucket import MAX_PAUSE_SECONDS, Granted, LocalBucket
from literesearcher.tools.redis_link import Garbled, RedisAway, RedisLink

if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")

_PREFIX = "literesearcher:rate"
_LEAD_SECONDS = 0.25
_POLL_SECONDS = 0.05
"""How soon to ask again where there are tokens, but for others; the least wait at all is a fifth of it."""
_LEAST_WAIT_SECONDS = _POLL_SECONDS / 5
_FORGET_SECONDS = 60.0
"""After the bucket is full again."""
_MOST_DIGITS = 32
_MOST_TENANTS = 100
"""In one asking, which holds the server up; the others' turn comes in the next."""

_TAKE = """
local paused = redis.call('PTTL', KEYS[4])
if paused > 0 then return {1, tostring(paused / 1000)} end
local rate, burst, patient = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'
local lead, poll, ttl = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local state = redis.call('HMGET', KEYS[1], 'tokens', 'at', 'serving')
local tokens = tonumber(state[1]) or burst
local at = math.min(tonumber(state[2]) or now, now + 0.05)
local serving = tonumber(state[3]) or 0
if now > at then
  tokens = math.min(burst, tokens + (now - at) * rate)
  at = now
end

local wants, times, given, asked = {}, {}, {}, {}
local function time_of(tenant)
  return math.max(serving, tonumber(redis.call('ZSCORE', KEYS[3], tenant) or 0))
end
for i = 7, #ARGV, 2 do
  local tenant = ARGV[i]
  asked[#asked + 1] = tenant
  wants[tenant], times[tenant], given[tenant] = tonumber(ARGV[i + 1]), time_of(tenant), 0
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local behind = math.huge
for _, tenant in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  if not wants[tenant] then behind = math.min(behind, time_of(tenant)) end
end

local short = false
while true do
  local turn
  for _, tenant in ipairs(asked) do
    if wants[tenant] > given[tenant] and (not turn or times[tenant] < times[turn]) then turn = tenant end
  end
  if not turn then break end
  if tokens < 1 - 1e-6 or times[turn] > behind + lead then short = true break end
  serving = math.max(serving, math.min(times[turn], behind))
  times[turn] = times[turn] + 1
  given[turn] = given[turn] + 1
  tokens = math.max(0, tokens - 1)
end

local wait = 0
if short then
  if tokens < 1 - 1e-6 then wait = math.max((1 - tokens) / rate, poll / 5) else wait = poll end
end
local answer = {0, tostring(wait)}
for i, tenant in ipairs(asked) do
  answer[i + 2] = given[tenant]
  if given[tenant] > 0 then redis.call('ZADD', KEYS[3], string.format('%.17g', times[tenant]), tenant) end
  if given[tenant] >= wants[tenant] then
    redis.call('ZREM', KEYS[2], tenant)
  elseif patient then
    redis.call('ZADD', KEYS[2], string.format('%.17g', now + wait + tonumber(ARGV[4]) / rate), tenant)
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%.17g', serving))
redis.call('HSET', KEYS[1], 'tokens', string.format('%.17g', tokens), 'at', string.format('%.17g', at),
  'serving', string.format('%.17g', serving))
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ttl) end
return answer
"""
"""KEYS: state, who was sent away (until when), tenants' own times, pause. ARGV: per_second, burst, patient, lead in
tokens, poll in seconds, lifetime in ms, then tenant and number in turn."""

_PAUSE = """
local ms = tonumber(ARGV[1])
if redis.call('PTTL', KEYS[4]) >= ms then return 0 end
redis.call('SET', KEYS[4], '1', 'PX', ms)
local time = redis.call('TIME')
local ends = tonumber(time[1]) + tonumber(time[2]) / 1000000 + ms / 1000
redis.call('HSET', KEYS[1], 'tokens', '1', 'at', string.format('%.17g', ends))
return redis.call('PEXPIRE', KEYS[1], ms + tonumber(ARGV[2]))
"""
"""KEYS as above. ARGV: milliseconds, lifetime in ms. One token and no burst await those who come after it."""


def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


_DIGESTS = {script: _digest(script) for script in (_TAKE, _PAUSE)}


class SharedBucket:
    """`name` is the same in every process that shares it; `local` is the same bucket for this process alone."""

    def __init__(self, name: str, *, local: LocalBucket, link: RedisLink) -> None:
        self.local = local
        self._link = link
        self._keys = [f"{_PREFIX}:{{{name}}}:{part}" for part in ("state", "waiting", "times", "pause")]
        refill_seconds = local.burst / local.per_second
        self._lifetime_ms = int(1000 * (refill_seconds + _FORGET_SECONDS))
        self._lead = max(1.0, local.per_second * _LEAD_SECONDS)

    async def take(self, wants: Mapping[str, int], *, patient: bool = True) -> Granted:
        """See `bucket.Bucket`."""
        paused = self.local.paused_seconds
        if paused > 0:
            return Granted({}, paused, paused=True)
        arguments: list[Any] = [self.local.per_second, self.local.burst, int(patient)]
        arguments += [self._lead, _POLL_SECONDS, self._lifetime_ms]
        tenants = list(itertools.islice(wants, _MOST_TENANTS))
        for tenant_id in tenants:
            arguments += [tenant_id, wants[tenant_id]]
        try:
            granted = await self._run(
                "rate", _TAKE, arguments, lambda answer: _granted(answer, wants, tenants, self.local.per_second)
            )
        except RedisAway:
            return self.local.take_now(wants)
        if granted.paused:
            self.local.pause_now(granted.wait_seconds)
        else:
            self.local.spend(sum(granted.tokens.values()))
        return granted

    async def pause(self, seconds: float) -> None:
        """See `bucket.Bucket`."""
        self.local.pause_now(seconds)
        milliseconds = int(1000 * min(seconds, MAX_PAUSE_SECONDS))
        if milliseconds > 0:
            with contextlib.suppress(RedisAway):
                await self._run("pause", _PAUSE, [milliseconds, self._lifetime_ms], lambda answer: None)

    async def _run(self, operation: str, script: str, arguments: list[Any], read: Callable[[object], T]) -> T:
        async def run(client: Redis) -> T:
            from redis.exceptions import NoScriptError

            try:
                answer = await client.evalsha(_DIGESTS[script], 4, *self._keys, *arguments)
            except NoScriptError:
                # A server that was started anew has forgotten it.
                answer = await client.eval(script, 4, *self._keys, *arguments)
            return read(answer)

        return await self._link.run(operation, run)


def _granted(answer: object, wants: Mapping[str, int], tenants: Sequence[str], per_second: float) -> Granted:
    """What `_TAKE` answered. `Garbled` for all that it cannot have answered: whatever stands where Redis should must
    neither break a call, nor send it to sleep for long, nor have it ask without a pause."""
    if not isinstance(answer, list) or len(answer) < 2 or type(answer[0]) is not int:
        raise Garbled
    is_paused, wait, given = answer[0], _seconds(answer[1]), answer[2:]
    if is_paused == 1 and not given and 0 < wait <= MAX_PAUSE_SECONDS:
        return Granted({}, wait, paused=True)
    if is_paused != 0 or len(given) != len(tenants):
        raise Garbled
    if not all(type(number) is int and 0 <= number <= wants[one] for one, number in zip(tenants, given, strict=True)):
        raise Garbled
    got_all = all(number == wants[one] for one, number in zip(tenants, given, strict=True))
    longest = max(1.0 / per_second, _POLL_SECONDS)
    if wait > longest * 1.001 or (not got_all and wait < _LEAST_WAIT_SECONDS * 0.999):
        raise Garbled
    return Granted({one: number for one, number in zip(tenants, given, strict=True) if number}, wait)


def _seconds(said: object) -> float:
    """A number that Lua wrote: finite and not negative, else `Garbled`."""
    if not isinstance(said, bytes) or len(said) > _MOST_DIGITS:
        raise Garbled
    try:
        seconds = float(said)
    except ValueError:
        raise Garbled from None
    if not math.isfinite(seconds) or seconds < 0:
        raise Garbled
    return seconds

/**
 * Takes a token in one round trip. A bucket is one number, the time in microseconds at which it will be full again,
 * by the server's clock, so that machines need not agree about the time and a forgotten bucket equals a full one.
 * What somebody else wrote there, or a clock that went back, can never cost more than an empty bucket.
 *
 * KEYS[1] bucket; ARGV: microseconds a token, tokens at once, microseconds that who is early may be told to wait.
 * Answers: microseconds until the token is there, microseconds until the bucket is full.
 */
export const TAKE = `
local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]
local interval, burst, delay = tonumber(ARGV[1]), tonumber(ARGV[2]) * ARGV[1], tonumber(ARGV[3])
local full = tonumber(redis.call("GET", KEYS[1])) or now
if full ~= full then full = now end
full = math.min(math.max(full, now), now + burst + delay)
local wait = full + interval - now - burst
if wait > delay then return { math.ceil(wait), math.ceil(full - now) } end
local missing = full + interval - now
redis.call("SET", KEYS[1], string.format("%.2f", full + interval), "PX", math.ceil(missing / 1000) + 1000)
return { math.ceil(wait), math.ceil(missing) }
`;

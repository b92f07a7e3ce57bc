-- Posts the bodies of the file in BODIES in turn, one line each, to the path that wrk was given. With PAUSE_MS, each connection waits
-- between two requests: for 0 to twice so many milliseconds, drawn by chance.
local bodies = {}
local headers = { ["Content-Type"] = "application/json" }
local next_body = 0

function init(args)
  for line in io.lines(os.getenv("BODIES")) do bodies[#bodies + 1] = line end
  local key = os.getenv("API_KEY")
  if key and key ~= "" then headers["Authorization"] = "Bearer " .. key end
  math.randomseed(os.time())
  next_body = math.random(#bodies)
end

function request()
  next_body = next_body % #bodies + 1
  return wrk.format("POST", nil, headers, bodies[next_body])
end

local longest_pause_ms = 2 * (tonumber(os.getenv("PAUSE_MS")) or 0)
if longest_pause_ms > 0 then
  function delay() return math.random(0, longest_pause_ms) end
end

function done(summary, latency, requests)
  io.write(string.format('RESULT {"requests": %d, "duration_s": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end

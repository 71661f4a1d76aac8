-- Script of wrk: sends prepared requests in order, and starts again after the last one.
-- REQUESTS: a file with one request a line: METHOD \t PATH \t Name: value\x1fName: value \t BODY
-- ONCE: send each request once and end the run. PAUSE_MS: wait so long before each request.
-- Prints one line, RESULT and a JSON object, at the end.
local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long seconds; long nanoseconds; } moment;
  int clock_gettime(int clock, moment *now);
  int getpid(void);
  int kill(int process, int signal);
]]
local MONOTONIC, INTERRUPT = 1, 2
local threads = {}
local prepared, sent = {}, 0
local once = os.getenv("ONCE") ~= nil
local pause = tonumber(os.getenv("PAUSE_MS") or "0")
started, took = 0, 0

local function now()
  local moment = ffi.new("moment")
  ffi.C.clock_gettime(MONOTONIC, moment)
  return tonumber(moment.seconds) + tonumber(moment.nanoseconds) / 1e9
end

function setup(thread)
  table.insert(threads, thread)
end

function init()
  for line in io.lines(os.getenv("REQUESTS")) do
    local method, path, fields, body = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$")
    local headers = {}
    for field in fields:gmatch("[^\31]+") do
      local name, value = field:match("^([^:]+): (.*)$")
      headers[name] = value
    end
    table.insert(prepared, wrk.format(method, path, headers, body ~= "" and body or nil))
  end
  connections = tonumber(os.getenv("CONNECTIONS"))
end

local function send_once()
  if sent == 1 then started = now() end
  if sent <= #prepared then return prepared[sent] end
  -- A connection asks for another request when its last one is answered: after all of them, everything is answered.
  if sent == #prepared + connections then
    took = now() - started
    ffi.C.kill(ffi.C.getpid(), INTERRUPT)
  end
  return ""
end

function request()
  sent = sent + 1
  if once then return send_once() end
  return prepared[(sent - 1) % #prepared + 1]
end

if pause > 0 then
  function delay() return pause end
end

function done(summary, latency)
  local seconds = once and threads[1]:get("took") or summary.duration / 1e6
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"rate":%.2f,"p50":%.3f,"p95":%.3f,"p99":%.3f,"errors":%d}\n',
    summary.requests, summary.requests / seconds,
    latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end

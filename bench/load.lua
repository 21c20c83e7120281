-- Load for wrk: transfers between the accounts of a world file, one line a customer: token, then his account ids.
-- WORLD: that file. BULK: transfers in a request (0: single transfers). HOT: an account every transfer goes to.
-- ECHO: send the same bodies to /echo. PAUSE_MS: what each connection rests between two requests, on the average. NONCE keeps idempotency keys unique between runs.
local customers, accounts = {}, {}
for line in io.lines(os.getenv("WORLD")) do
  local token, rest = line:match("^(%S+)%s+(.*)$")
  local own = {}
  for id in rest:gmatch("%S+") do
    own[#own + 1] = id
    accounts[#accounts + 1] = { id = id, customer = #customers + 1 }
  end
  customers[#customers + 1] = { token = token, own = own }
end
local bulk = tonumber(os.getenv("BULK") or "0")
local hot = os.getenv("HOT")
local echo = os.getenv("ECHO")
local nonce = os.getenv("NONCE")
local sent = 0
local format, random = string.format, math.random

function init()
  math.randomseed(tonumber(os.getenv("SEED")))
end

local pause_ms = tonumber(os.getenv("PAUSE_MS") or "0")
if pause_ms > 0 then
  function delay()
    return random(0, 2 * pause_ms)
  end
end

local function fields(customer)
  local source = customer.own[random(#customer.own)]
  local destination = hot
  while not destination or destination == source do
    destination = accounts[random(#accounts)].id
  end
  return format('"source_account_id":"%s","destination_account_id":"%s","amount_minor":%d,"asset":"USD"',
    source, destination, random(1, 500))
end

function request()
  sent = sent + 1
  local customer = customers[random(#customers)]
  local path, body = "/api/v1/transfers", nil
  if bulk == 0 then
    body = "{" .. fields(customer) .. "}"
  else
    path = "/api/v1/transfers/batch"
    local items = {}
    for i = 1, bulk do
      items[i] = format('{"idempotency_key":"%s-%d-%d",%s}', nonce, sent, i, fields(customer))
    end
    body = '{"mode":"independent","transfers":[' .. table.concat(items, ",") .. "]}"
  end
  if echo then path = "/echo" end
  return format("POST %s HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\nIdempotency-Key: %s-%d\r\n" ..
    "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, customer.token, nonce, sent, #body, body)
end

function done(summary, latency)
  io.write(format('RESULT {"requests":%d,"seconds":%f,"p50_ms":%.3f,"p95_ms":%.3f,"p99_ms":%.3f,"not_2xx":%d,' ..
    '"socket_errors":%d,"timeouts":%d}\n', summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(95) / 1e3, latency:percentile(99) / 1e3, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write, summary.errors.timeout))
end

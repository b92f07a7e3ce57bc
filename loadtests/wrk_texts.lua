-- Posts a different text with each request: a number, and words drawn from a list and from random letters.
local words = {}
local headers = { ["Content-Type"] = "application/json" }
local number = 0

function init(args)
  for word in string.gmatch("aucune réponse à ma demande depuis trois mois trottoir cassé merci inscription en crèche dossier retard école mairie", "%S+") do
    words[#words + 1] = word
  end
  math.randomseed(tonumber(os.getenv("SEED")) or 0)
end

function request()
  number = number + 1
  local text = { tostring(number) }
  for place = 1, math.random(5, 60) do
    if math.random(4) == 1 then
      local letters = {}
      for at = 1, math.random(3, 10) do letters[at] = string.char(math.random(97, 122)) end
      text[#text + 1] = table.concat(letters)
    else
      text[#text + 1] = words[math.random(#words)]
    end
  end
  return wrk.format("POST", nil, headers, '{"text": "' .. table.concat(text, " ") .. '"}')
end

function done(summary, latency, requests)
  io.write(string.format('RESULT {"requests": %d, "duration_s": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end

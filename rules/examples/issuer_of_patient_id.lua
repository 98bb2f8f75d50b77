-- Says whose patient IDs they are. Without an issuer, "12345" of one hospital is "12345" of every other.
--
--   local issuer_of_patient_id = require "examples.issuer_of_patient_id"
--
--   morph = issuer_of_patient_id {
--     CT1 = "GENERAL", CT2 = "GENERAL",                            -- by the sender's title
--     ["SITE7*"] = { name = "SITE7", oid = "1.2.276.0.76.3.1.7" }, -- or by a pattern; with an OID
--     default = "GENERAL",                                         -- of all others; else they stay
--   }
--
-- Titles go before patterns, long patterns before short ones. An issuer that the instance names itself stays.

local function pattern_of(glob)
  return "^" .. glob:gsub("[%^%$%(%)%%%.%[%]%+%-]", "%%%0"):gsub("%*", ".*"):gsub("%?", ".") .. "$"
end

-- In a fixed order: pairs() has none.
local function sorted_patterns(issuers)
  local patterns = {}
  for name, issuer in pairs(issuers) do
    if name:find("[*?]") then
      patterns[#patterns + 1] = { glob = name, pattern = pattern_of(name), issuer = issuer }
    end
  end
  table.sort(patterns, function (a, b)
    return #a.glob > #b.glob or #a.glob == #b.glob and a.glob < b.glob
  end)
  return patterns
end

local function find(issuers, patterns, calling)
  if issuers[calling] then
    return issuers[calling]
  end
  for _, p in ipairs(patterns) do
    if calling:find(p.pattern) then
      return p.issuer
    end
  end
  return issuers.default
end

return function (issuers)
  local patterns = sorted_patterns(issuers)
  return function (ds, assoc)
    local issuer = find(issuers, patterns, assoc.calling)
    if not issuer or (ds.IssuerOfPatientID or "") ~= "" then
      return
    end
    if type(issuer) == "string" then
      ds.IssuerOfPatientID = issuer
      return
    end
    ds.IssuerOfPatientID = issuer.name
    ds.IssuerOfPatientIDQualifiersSequence = {
      { UniversalEntityID = issuer.oid, UniversalEntityIDType = "ISO" },
    }
  end
end

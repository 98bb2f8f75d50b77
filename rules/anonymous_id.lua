-- Other names for patients and examinations: PatientID and AccessionNumber become codes that follow from the
-- old value and gateway { uid_key }. The same patient gets the same code in every study, on every worker and
-- after years; without the key nobody can find the old value, nor try out likely ones.
--
--   local anonymous_id = require "anonymous_id"
--   local deidentify = require "deidentify"
--
--   route "research" {
--     to = "research",
--     morph = deidentify { replace = anonymous_id.values { prefix = "R7-" } },
--   }
--   route "students" { to = "students", morph = anonymous_id.morph() } -- these two alone
--
-- anonymous_id.values { options } gives functions by keyword, as `replace` of rules/deidentify.lua takes
-- them; anonymous_id.morph { options } a morph, which changes the two at every depth. Options:
--
--   prefix            before the code of a patient; at most 44 bytes, since an LO has 64
--   accession_prefix  before that of an accession number; at most 4, since an SH has 16
--   with_issuer       true: IssuerOfPatientID counts as well, where two hospitals use the same numbers
--
-- A code of a patient is 20 characters (100 bits), that of an accession number as many as are left of 16 (at
-- least 60 bits): digits and letters without I, L, O and U, which people mix up. Empty values stay empty.
-- A code by hand:
--
--   printf %s "patient:12345" | openssl dgst -sha256 -hmac "$HILUM_UID_KEY"
--
-- prints hex digits. From the left, each five of them are four characters of Crockford's base 32.

local LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
local PATIENT_CHARACTERS = 20
local SH_CHARACTERS = 16
local PREFIX_MAX = { prefix = 44, accession_prefix = 4 }

-- Five hex digits, 20 bits, as four letters.
local function letters_of(five)
  local bits = tonumber(five, 16)
  local four = ""
  for shift = 15, 0, -5 do
    local at = (bits >> shift & 31) + 1
    four = four .. LETTERS:sub(at, at)
  end
  return four
end

local function code_of(text, characters)
  return hash(text):gsub("%x%x%x%x%x", letters_of):sub(1, characters)
end

-- An ID with a backslash comes as a list.
local function text_of(value)
  return type(value) == "table" and table.concat(value, "\\") or tostring(value)
end

local function check(options)
  for name, value in pairs(options) do
    local max = PREFIX_MAX[name]
    if max and (type(value) ~= "string" or #value > max or value:find("[\\%c]")) then
      error(string.format("anonymous_id: %s is a text of at most %d bytes", name, max), 3)
    elseif not max and name ~= "with_issuer" then
      error(string.format("anonymous_id: '%s' is no option; there are prefix, accession_prefix, with_issuer",
        tostring(name)), 3)
    end
  end
end

local function functions_of(options)
  local prefix = options.prefix or ""
  local accession_prefix = options.accession_prefix or ""
  return {
    PatientID = function (item, _, value)
      local issuer = options.with_issuer and item.IssuerOfPatientID or ""
      local from = issuer == "" and "patient:" or "patient of " .. text_of(issuer) .. ":"
      return prefix .. code_of(from .. text_of(value), PATIENT_CHARACTERS)
    end,
    AccessionNumber = function (_, _, value)
      return accession_prefix .. code_of("accession:" .. text_of(value), SH_CHARACTERS - #accession_prefix)
    end,
  }
end

local anonymous_id = {}

function anonymous_id.values(options)
  options = options or {}
  check(options)
  return functions_of(options)
end

function anonymous_id.morph(options)
  options = options or {}
  check(options)
  local by_keyword = functions_of(options)
  local actions = {
    [0x00080050] = by_keyword.AccessionNumber,
    [0x00100020] = by_keyword.PatientID,
  }
  return function (ds)
    for item, tag, _, value_of in ds:walk(actions) do
      local value = item[tag]
      if value ~= "" then
        item[tag] = value_of(item, tag, value)
      end
    end
  end
end

return anonymous_id

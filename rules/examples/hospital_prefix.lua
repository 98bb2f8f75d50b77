-- Puts a prefix before patient IDs, so that those of several hospitals can stand in one archive.
--
--   local hospital_prefix = require "examples.hospital_prefix"
--   route "site 7" {
--     when = { calling = "SITE7*" },
--     to = "archive",
--     morph = hospital_prefix { patient = "S7-", accession = "S7-" },
--   }
--
-- Either may be left out. IDs are changed at every depth, as requests and references repeat them. One that
-- has the prefix already is left alone, so an instance may pass twice. Empty ones stay empty.
--
-- A patient ID has up to 64 characters, an accession number only 16: one that gets longer is an error, and
-- that instance is refused, rather than cut short and mistaken for another.

return function (prefixes)
  local actions = {
    [0x00080050] = prefixes.accession, -- AccessionNumber
    [0x00100020] = prefixes.patient, -- PatientID
  }
  return function (ds)
    for item, tag, _, prefix in ds:walk(actions) do
      local id = item[tag]
      id = type(id) == "table" and table.concat(id, "\\") or tostring(id) -- devices write anything
      if id ~= "" and id:sub(1, #prefix) ~= prefix then
        item[tag] = prefix .. id
      end
    end
  end
end

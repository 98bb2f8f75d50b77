-- Repairs what known devices write wrongly. A list to add to: each entry says which device, and what to do.
--
--   local device_fixups = require "examples.device_fixups"
--   route "all" { to = "archive", morph = device_fixups }
--
-- `device`: every attribute named must have the value; a pattern of Lua (%d is a digit, ^ the front, - is
-- written %-). `fix` is a morph. All entries that hold are done, in this order. These devices are made up.

local fixups = {
  {
    why = "writes dates as ACR-NEMA did, 2024.02.28",
    device = { Manufacturer = "^OLDSCAN" },
    fix = function (ds)
      for _, keyword in ipairs { "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate" } do
        local value = ds[keyword]
        if type(value) == "string" and value:find("^%d%d%d%d%.%d%d%.%d%d$") then
          ds[keyword] = date.shift(value, 0)
        end
      end
    end,
  },
  {
    why = "leaves the study without a description, which the archive's worklist shows",
    device = { Manufacturer = "^ACME", ManufacturerModelName = "^US%-[12]" },
    fix = function (ds)
      if (ds.StudyDescription or "") == "" then
        ds.StudyDescription = ds.RequestedProcedureDescription or ds.ProtocolName or "Ultrasound"
      end
    end,
  },
  {
    why = "puts CR on digital images; display protocols go by DX",
    device = { Manufacturer = "^XRAYCO", Modality = "^CR$" },
    fix = function (ds)
      -- Digital X-Ray Image Storage, for presentation or for processing
      if ds.sop_class:find("^1%.2%.840%.10008%.5%.1%.4%.1%.1%.1%.1") then
        ds.Modality = "DX"
      end
    end,
  },
  {
    why = "private elements of its service software hold the operator's notes",
    device = { Manufacturer = "^SCANMAKER" },
    fix = function (ds)
      ds:private("SCANMAKER SERVICE", 0x0029, 0x20, nil)
    end,
  },
}

local function is_of(ds, device)
  for keyword, pattern in pairs(device) do
    local value = ds[keyword]
    if type(value) ~= "string" or not value:find(pattern) then
      return false
    end
  end
  return true
end

return function (ds)
  -- First which, then what: a fix must not decide about the next.
  local due = {}
  for _, fixup in ipairs(fixups) do
    if is_of(ds, fixup.device) then
      due[#due + 1] = fixup.fix
    end
  end
  for _, fix in ipairs(due) do
    fix(ds)
  end
end

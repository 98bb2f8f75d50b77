-- Fills in where an image was made, for devices that were never told, or told wrongly.
--
--   local institution_by_station = require "examples.institution_by_station"
--
--   morph = institution_by_station {
--     CT_EAST = { InstitutionName = "General Hospital East", InstitutionalDepartmentName = "Radiology" },
--     US_LOAN = { InstitutionName = "General Hospital", StationName = "US_ROOM_4" },
--   }
--
-- Stations go by StationName or, where that is empty, by the sender's title. Every attribute that a station
-- has here is set, whatever the device wrote: keywords as in `ds`. All others stay as they are.

return function (stations)
  return function (ds, assoc)
    local name = ds.StationName or ""
    local attributes = stations[name ~= "" and name or assoc.calling]
    for keyword, value in pairs(attributes or {}) do
      ds[keyword] = value
    end
  end
end

-- Takes out of a data set what could tell who the patient is: the Basic Application Level Confidentiality
-- Profile of DICOM PS3.15 Annex E with its ten options, at every depth.
--
--   local deidentify = require "deidentify"
--
--   gateway { uid_key = env "HILUM_UID_KEY" }    -- new UIDs are keyed: the same in, the same out
--   route "research" { to = "research", morph = deidentify { modify_dates = true } }
--
-- deidentify { options } gives a function (ds), which is a morph, or a step of one:
--
--   local anonymous = deidentify { retain_dates = true }
--   morph = function (ds, assoc) anonymous(ds) ds.PatientName = ds.PatientID end
--
-- Options; each is off unless it is true. F: it may be a function as well.
--
--   retain_safe_private              private elements that PS3.15 E.3.10 lists, by creator; sequences only if
--                                    they can be gone through
--   retain_uids                      UIDs of instances, series, studies
--   retain_device                 F  identity of the device
--   retain_institution               identity of the institution
--   retain_patient_characteristics F age, sex, size, weight, allergies
--   retain_dates                     dates and times as they are
--   modify_dates                  F  dates moved by so many days (-30). true: by days that follow from
--                                    uid_key and the patient's ID, one day to five years back. A function
--                                    (ds) returns days
--   clean_descriptors             F  descriptions and comments
--   clean_structured              F  structured reports, acquisition context, specimens
--   clean_graphics                F  overlays, curves, graphic annotations
--
-- What an option cleans needs a person's judgement. With `true` it is cleaned by taking all of it out, as the
-- profile does. A function (item, tag, value) says what stands there instead; nil: what the profile does. Of
-- a sequence it may change the items in place and return `value`.
--
--   clean_descriptors = function (item, tag, value) return known_protocols[value] end
--
-- And besides, not of the standard, values instead of the profile's action, wherever the attribute stands and
-- is not empty: by keyword, of attributes that the profile knows, or by tag, "0010,0020". Functions see the
-- root of the data set as it came. See rules/anonymous_id.lua.
--
--   replace = { PatientID = function (item, tag, value) return new end, PatientName = "TEST" }
--
-- What the profile leaves open is chosen so that objects stay conformant whatever their kind: where the table
-- allows a dummy it is one, else an empty value where that is allowed, else the attribute goes. What is empty
-- stays as it is. Of a sequence the dummy is one item that names nobody: the old items with dummies inside
-- would still show what was there, and a dummy of a CodeValue or ValueType has no meaning. References to
-- images stay, with new UIDs inside. What stays as a sequence goes if it comes as bytes. Overlays and
-- curves go as whole groups.
--
-- A data set without SOPInstanceUID gets a new one, by which it is called in the command and in file names.
--
-- All patients get the same dummy for an ID, "ANONYMOUS", unless `replace` says otherwise.
--
-- Pixel data is not looked at: what is burned into it stays, and BurnedInAnnotation says what it said. An
-- encapsulated document (PDF and the like) is replaced by two zero bytes, since nobody has read it.

local tables = require "deidentify_table"

-- Code of CID 7050, its meaning, and what the option may be.
local OPTIONS = {
  retain_safe_private = { "113111", "Retain Safe Private Option" },
  retain_uids = { "113110", "Retain UIDs Option" },
  retain_device = { "113109", "Retain Device Identity Option", ["function"] = true },
  retain_institution = { "113112", "Retain Institution Identity Option" },
  retain_patient_characteristics = { "113108", "Retain Patient Characteristics Option", ["function"] = true },
  retain_dates = { "113106", "Retain Longitudinal Temporal Information Full Dates Option" },
  modify_dates = {
    "113107", "Retain Longitudinal Temporal Information Modified Dates Option",
    ["function"] = true, number = true,
  },
  clean_descriptors = { "113105", "Clean Descriptors Option", ["function"] = true },
  clean_structured = { "113104", "Clean Structured Content Option", ["function"] = true },
  clean_graphics = { "113103", "Clean Graphics Option", ["function"] = true },
}

local BASIC = { "113100", "Basic Application Confidentiality Profile" }
local METHOD = "Hilum: PS3.15 Annex E"
local FARTHEST_DAY = 1826

-- Of the call that runs; a worker runs one at a time.
local days

----------------------------------------------------------------------------------------------------
-- UIDs

-- Those of the standard are no identities: SOP classes, transfer syntaxes, well-known frames of reference.
local function is_well_known(value)
  return #value <= 64 and value:find("^1%.2%.840%.10008%.[%d.]*%d$")
    and not value:find("..", 1, true) and not value:find("%.0%d")
end

local function map_one(value)
  if value == "" or is_well_known(value) then
    return value
  end
  return uid.map(value)
end

----------------------------------------------------------------------------------------------------
-- Dummies

local function code(value, meaning, scheme)
  return { { CodeValue = value, CodingSchemeDesignator = scheme or "DCM", CodeMeaning = meaning } }
end

local NOBODY = code("ANONYMOUS", "Anonymous", "99HILUM")

local DUMMIES = {
  AE = "ANONYMOUS", AS = "000D", CS = "ANONYMOUS", DA = "19000101", DT = "19000101000000", TM = "000000",
  LO = "ANONYMOUS", LT = "ANONYMOUS", PN = "ANONYMOUS", SH = "ANONYMOUS", ST = "ANONYMOUS", UC = "ANONYMOUS",
  UT = "ANONYMOUS", UR = "urn:anonymous",
  DS = 0, IS = 0, FL = 0, FD = 0, SL = 0, SS = 0, SV = 0, UL = 0, US = 0, UV = 0,
  OB = "\0\0", OW = "\0\0", OF = "\0\0\0\0", OL = "\0\0\0\0", OD = "\0\0\0\0\0\0\0\0",
  OV = "\0\0\0\0\0\0\0\0",
  UN = "\0\0", SQ = {},
}

local MPPS = "1.2.840.10008.3.1.2.3.3"
local REFERENCE = { [0x00081150] = true, [0x00081155] = true }

-- Values that can be a UID of any length, and those that nobody looks into.
local HOLDS_UID = { UI = true, UN = true, LO = true, LT = true, ST = true, UC = true, UT = true }

local function has_reference(step)
  for element in step:elements() do
    if element.tag == 0x00081155 then
      return HOLDS_UID[element.vr] and type(element.value) == "string" and element.value ~= ""
    end
  end
end

-- Elements go unless keeps(tag) is true, which is asked once for each, in order; the character set stays.
local function keep_elements(item, keeps)
  for element in item:elements() do
    if element.tag ~= 0x00080005 and not keeps(element.tag) then
      element.value = nil
    end
  end
end

local function first_of(tags)
  local is_there = {}
  return function (tag)
    local is_kept = tags[tag] and not is_there[tag]
    is_there[tag] = true
    return is_kept
  end
end

-- The first item that has a UID is left, and of it the reference alone, in place: the walk comes here next
-- and maps the UID. Written anew it would have to be a valid one before that. nil: there is no such item.
local function one_reference(item, old, tag)
  local place = 1
  while place <= #old and not has_reference(old[place]) do
    place = place + 1
  end
  if place > #old then
    return nil
  end
  for i = #old, 1, -1 do
    if i ~= place then
      old[i] = nil
    end
  end
  local step = old[1]
  keep_elements(step, first_of(REFERENCE))
  local class = step.ReferencedSOPClassUID
  if type(class) ~= "string" or not is_well_known(class) then
    step.ReferencedSOPClassUID = nil -- and its VR
    step.ReferencedSOPClassUID = MPPS
  end
  local is_first = first_of { [tag] = true }
  keep_elements(item, function (other) return other ~= tag or is_first(tag) end)
  return old
end

-- What a dummy of the VR alone would make an object that cannot be read: VR, and the dummy or a function
-- (item, old, tag). It may change a sequence in place and return it.
local DUMMIES_OF = {
  [0x04000565] = { "CS", "CORRECT" }, -- ReasonForTheAttributeModification
  [0x00340002] = { "OB", ("\0"):rep(16) }, -- FlowIdentifier: a UUID
  [0x00420011] = { "OB", function (item) -- EncapsulatedDocument
    if item[0x00420015] then
      item[0x00420015] = 2 -- its length
    end
    return "\0\0"
  end },
  [0x00080082] = { "SQ", NOBODY }, -- InstitutionCodeSequence
  [0x00401101] = { "SQ", NOBODY }, -- PersonIdentificationCodeSequence
  [0x00081072] = { "SQ", { { -- OperatorIdentificationSequence
    PersonIdentificationCodeSequence = NOBODY,
    InstitutionName = "ANONYMOUS",
  } } },
  [0x0040A073] = { "SQ", { { -- VerifyingObserverSequence
    VerifyingObserverName = "ANONYMOUS",
    VerifyingObserverIdentificationCodeSequence = {},
    VerifyingOrganization = "ANONYMOUS",
    VerificationDateTime = "19000101000000",
  } } },
  [0x00340001] = { "SQ", { { FlowIdentifier = ("\0"):rep(16) } } }, -- FlowIdentifierSequence
  [0x0040A730] = { "SQ", { { -- ContentSequence
    RelationshipType = "CONTAINS",
    ValueType = "CONTAINER",
    ContinuityOfContent = "SEPARATE",
    ConceptNameCodeSequence = code("121070", "Findings"),
  } } },
  [0x0040B020] = { "SQ", { { -- WaveformAnnotationSequence
    ReferencedWaveformChannels = { 1, 0 },
    ConceptNameCodeSequence = NOBODY,
  } } },
  [0x00081111] = { "SQ", one_reference }, -- ReferencedPerformedProcedureStepSequence
  [0x00700001] = { "SQ", function (_, old) -- GraphicAnnotationSequence: its layers are described elsewhere
    local layer = old[1].GraphicLayer
    return { {
      GraphicLayer = type(layer) == "string" and layer:find("^[%u%d _]+$") and layer or "ANONYMOUS",
      GraphicObjectSequence = { {
        GraphicAnnotationUnits = "DISPLAY",
        GraphicDimensions = 2,
        NumberOfGraphicPoints = 1,
        GraphicData = { 0, 0 },
        GraphicType = "POINT",
      } },
    } }
  end },
}

----------------------------------------------------------------------------------------------------
-- Actions: function (item, tag, vr). Where it is nil the element stays, and a sequence is gone through.

local function remove(item, tag)
  item[tag] = nil
end

-- Of what stays if it is a sequence, since the walk goes through its items; nothing goes through bytes.
local function remove_unless_sequence(item, tag, vr)
  if vr ~= "SQ" then
    item[tag] = nil
  end
end

local function is_empty(value)
  return value == "" or type(value) == "userdata" and #value == 0
end

-- Also where it is empty already: to put a value is to remove its duplicates.
local function empty(item, tag, vr)
  item[tag] = vr == "SQ" and {} or ""
end

local function map_uid(item, tag, vr)
  local value = HOLDS_UID[vr] and item[tag]
  if type(value) == "table" then
    local mapped = {}
    for i = 1, #value do
      mapped[i] = map_one(tostring(value[i]))
    end
    item[tag] = mapped
  elseif type(value) == "string" then
    item[tag] = map_one(value)
  else
    item[tag] = nil -- a date, a number, a sequence
  end
end

-- By the VR that the element has, whatever the dictionary says: a value must fit it. A VR that nobody knows
-- has none.
local function dummy(item, tag, vr)
  local old = item[tag]
  if is_empty(old) then
    return empty(item, tag, vr)
  elseif vr == "UI" then
    return map_uid(item, tag, vr)
  end
  local special = DUMMIES_OF[tag]
  local new = DUMMIES[vr]
  if special and special[1] == vr then
    new = special[2]
  end
  if type(new) == "function" then
    new = new(item, old, tag)
  end
  if type(new) ~= "userdata" then
    item[tag] = new
  end
end

-- nil where there is no day in it that could be moved.
local function shift_one(value)
  if value == "" then
    return value
  end
  if type(value) == "string" and value:find("^%d%d%d%d%.?%d%d%.?%d%d") then
    local is_moved, moved = pcall(date.shift, value, days)
    return is_moved and moved or nil
  end
end

local function shift(value)
  if type(value) ~= "table" then
    return shift_one(value)
  end
  local moved = {}
  for i = 1, #value do
    moved[i] = shift_one(value[i])
    if moved[i] == nil then
      return nil
    end
  end
  return moved
end

local function put(item, tag, value)
  item[tag] = value
end

-- Days are moved, times of day stay; what is neither, and a time zone, becomes what the profile makes of it.
local function move_dates(otherwise)
  return function (item, tag, vr)
    local moved
    if vr == "TM" then
      if pcall(put, item, tag, item[tag]) then
        return -- it is a time, and has no duplicate any more
      end
    elseif vr == "DA" or vr == "DT" then
      moved = shift(item[tag])
    end
    if moved then
      item[tag] = moved
    else
      otherwise(item, tag, vr)
    end
  end
end

-- By a function of the configuration. An action that is nil keeps.
local function clean_by(make, otherwise)
  return function (item, tag, vr)
    local value = item[tag]
    if is_empty(value) then
      return empty(item, tag, vr)
    end
    local new = make(item, tag, value)
    if type(new) == "userdata" then
      return -- a sequence whose items it changed in place
    elseif new ~= nil then
      item[tag] = new
    elseif otherwise then
      otherwise(item, tag, vr)
    end
  end
end

-- safe_in[creator][group]: low bytes, of which the first found says that the creator is needed.
local safe_in = {}
for creator, tags in pairs(tables.safe_private) do
  local groups = {}
  for tag in pairs(tags) do
    local group = tag & 0xFFFF0000
    groups[group] = groups[group] or {}
    table.insert(groups[group], tag & 0xFF)
  end
  safe_in[creator] = groups
end

-- A sequence is safe if its items can be gone through: the table speaks of the element, and not of what
-- others put inside. As UN, as OB, or without a VR and of defined length it is bytes that nobody has read.
local function is_readable(item, tag, safe)
  return safe ~= "SQ" or type(item[tag]) == "userdata"
end

-- Private elements are safe by creator, group and low byte; a creator is, that has such elements here.
local function is_safe(item, tag)
  local group, element = tag & 0xFFFF0000, tag & 0xFFFF
  local block = element < 0x1000 and element or element >> 8
  local creator = block >= 0x10 and block <= 0xFF and item[group | block]
  local safe = type(creator) == "string" and tables.safe_private[creator]
  if not safe then
    return false
  end
  if element >= 0x1000 then
    local low = group | element & 0xFF
    return safe[low] and is_readable(item, tag, safe[low])
  end
  for _, low in ipairs(safe_in[creator][group] or {}) do
    local owned = group | block << 8 | low
    if item[owned] ~= nil and is_readable(item, owned, safe[group | low]) then
      return true
    end
  end
  return false
end

local function keep_safe(item, tag)
  if not is_safe(item, tag) then
    item[tag] = nil
  end
end

----------------------------------------------------------------------------------------------------
-- The table of actions: made once for each set of options, when the configuration is read.

local BY_LETTERS = {
  ["X"] = remove, ["Z"] = empty, ["D"] = dummy, ["U"] = map_uid,
  ["X/Z"] = empty, ["X/D"] = dummy, ["Z/D"] = dummy, ["X/Z/D"] = dummy,
  ["X/Z/U*"] = remove_unless_sequence, -- references: they stay, and the UIDs inside are new
}

-- Beside a SOPClassUID it may be absent, and may not be empty; in a ReferencedRequestSequence it is the other
-- way round.
local function remove_studies(item, tag, vr)
  if item.SOPClassUID ~= nil then
    item[tag] = nil
  else
    empty(item, tag, vr)
  end
end

local function basic_action(tag, row)
  return tag == 0x00081110 and remove_studies or BY_LETTERS[row[2]]
end

-- What options that clean make of it; they go before those that keep. Second: whether one does.
local function cleaned(row, options, basic)
  local is_cleaned = false
  for name in pairs(row) do
    local chosen = row[name] == "C" and options[name]
    if chosen and name == "modify_dates" then
      return move_dates(basic), true
    elseif type(chosen) == "function" then
      return clean_by(chosen, basic), true
    end
    is_cleaned = is_cleaned or chosen
  end
  return basic, is_cleaned
end

local function is_kept(row, options)
  for name, letter in pairs(row) do
    if letter == "K" and options[name] then
      return true
    end
  end
  return false
end

local function action_of(tag, row, options)
  local basic = basic_action(tag, row)
  local action, is_cleaned = cleaned(row, options, basic)
  if is_cleaned then
    return action
  end
  if not is_kept(row, options) then
    return basic
  end
  return row[1]:find("Sequence$") and remove_unless_sequence or nil
end

-- Even groups 5000 to 50FE and 6000 to 60FE: more than there are today, as ACR-NEMA had them.
local function add_graphics(actions, options)
  local clean = type(options.clean_graphics) == "function" and clean_by(options.clean_graphics, remove)
  for low = 0, 0xFE, 2 do
    if clean then
      actions[0x5000 + low] = clean
      actions[0x6000 + low << 16 | 0x3000] = clean
      actions[0x6000 + low << 16 | 0x4000] = clean
    else
      actions[0x5000 + low] = remove
      actions[0x6000 + low] = remove
    end
  end
end

local function compile(options)
  local actions = {}
  for tag, row in pairs(tables.actions) do
    if tag >= 0x00080000 then
      actions[tag] = action_of(tag, row, options)
    end
  end
  actions[0x0004] = remove -- of a DICOMDIR
  actions[0x4FFE0001] = remove -- MACParametersSequence, of signatures
  add_graphics(actions, options)
  if options.retain_safe_private then
    actions.private = keep_safe
  end
  return actions
end

----------------------------------------------------------------------------------------------------
-- What the attributes say that record it

local function longitudinal(options)
  return options.retain_dates and "UNMODIFIED" or options.modify_dates and "MODIFIED" or "REMOVED"
end

local function codes_of(options)
  local codes = { BASIC }
  for name, option in pairs(OPTIONS) do
    if options[name] then
      codes[#codes + 1] = option
    end
  end
  table.sort(codes, function (a, b) return a[1] < b[1] end)
  local items = {}
  for i, named in ipairs(codes) do
    items[i] = code(named[1], named[2])[1]
  end
  return items
end

-- What was done to it before stays recorded, if it can: others write values that are too long for an LO.
local function record_method(ds)
  local before = ds.DeidentificationMethod
  if before == nil or before == "" or before == METHOD then
    ds.DeidentificationMethod = METHOD
    return
  end
  local methods = type(before) == "table" and before or { before }
  for _, method in ipairs(methods) do
    if method == METHOD then
      return
    end
  end
  methods[#methods + 1] = METHOD
  if not pcall(put, ds, "DeidentificationMethod", methods) then
    ds.DeidentificationMethod = METHOD
  end
end

local function record_codes(ds, codes)
  local before = ds.DeidentificationMethodCodeSequence
  if before == nil or #before == 0 then
    ds.DeidentificationMethodCodeSequence = codes
    return
  end
  local is_there = {}
  for i = 1, #before do
    is_there[before[i].CodeValue or ""] = true
  end
  for _, item in ipairs(codes) do
    if not is_there[item.CodeValue] then
      before[#before + 1] = item
    end
  end
end

----------------------------------------------------------------------------------------------------
-- Checks of the configuration

local function names_of(t)
  local names = {}
  for name in pairs(t) do
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, ", ")
end

local function refuse(...)
  error("deidentify: " .. string.format(...), 4) -- at the line of the configuration
end

local function check(options)
  if type(options) ~= "table" then
    refuse("it is called with a table of options, deidentify { retain_dates = true }")
  end
  for name, value in pairs(options) do
    local option = OPTIONS[name]
    if name == "replace" then
      if type(value) ~= "table" then
        refuse("replace is a table, { PatientID = ... }")
      end
    elseif not option then
      refuse("'%s' is no option; there are %s, replace", tostring(name), names_of(OPTIONS))
    elseif type(value) ~= "boolean" and not option[type(value)] then
      refuse("%s cannot be a %s", name, type(value))
    end
  end
  if options.retain_dates and options.modify_dates then
    refuse("retain_dates and modify_dates exclude one another")
  end
  if math.type(options.modify_dates) == "float" then
    refuse("modify_dates is a whole number of days")
  end
end

local function tag_of(name)
  if math.type(name) == "integer" then
    return name
  end
  local group, element = tostring(name):match("^(%x%x%x%x),(%x%x%x%x)$")
  if group then
    return tonumber(group .. element, 16)
  end
  for tag, row in pairs(tables.actions) do
    if row[1] == name then
      return tag
    end
  end
end

local function check_replacements(options)
  local by_tag = {}
  for name, new in pairs(options.replace or {}) do
    local tag = tag_of(name)
    if not tag then
      refuse("replace: the profile knows no '%s'; write its tag, \"0010,0020\"", tostring(name))
    end
    by_tag[tag] = type(new) == "function" and new or function () return new end
  end
  return by_tag
end

----------------------------------------------------------------------------------------------------
-- A call

local function text_of(value)
  return type(value) == "table" and table.concat(value, "\\") or tostring(value)
end

-- By uid_key, so that a patient's studies stay as far apart as they were, whichever worker has them.
local function keyed_days(ds)
  local patient = ds.PatientID
  if patient == nil or patient == "" then
    patient = ds.StudyInstanceUID or ""
  end
  return -1 - tonumber(hash("days:" .. text_of(patient)):sub(1, 12), 16) % FARTHEST_DAY
end

local function days_of(options, ds)
  local given = options.modify_dates
  if given == true then
    return keyed_days(ds)
  elseif type(given) == "function" then
    given = given(ds)
    if math.type(given) ~= "integer" then
      error("deidentify: modify_dates returns " .. tostring(given) .. ", which is no whole number of days", 0)
    end
  end
  return given
end

-- Without a UID of its own an instance is called what its command says: in the next command, in file meta
-- information, in file names. A new UID is what makes the gateway call it by another name.
local function rename(ds)
  local named, new = ds.sop_instance or "", ds.SOPInstanceUID
  if type(new) == "string" and new ~= "" and (new == named or not is_well_known(new)) then
    return
  end
  ds.SOPInstanceUID = named == "" and uid.new() or map_one(named)
end

-- At the root replacements are made before anything is changed, so that they may look at other attributes.
-- Meanwhile the walk does not meet what they replace.
local function take_replaced(ds, replacements)
  local made = {}
  for tag, make in pairs(replacements) do
    local value = ds[tag]
    if value ~= nil and type(value) ~= "userdata" and value ~= "" then
      made[tag] = make(ds, tag, value)
    end
  end
  for tag in pairs(made) do
    ds[tag] = nil
  end
  return made
end

local function put_replaced(ds, made)
  for tag, new in pairs(made) do
    ds[tag] = new
  end
end

local function without_identity(options)
  check(options)
  local actions = compile(options)
  local replacements = check_replacements(options)
  for tag, make in pairs(replacements) do
    actions[tag] = clean_by(make, actions[tag])
  end
  local codes = codes_of(options)
  local temporal = longitudinal(options)

  return function (ds)
    days = days_of(options, ds)
    local made = take_replaced(ds, replacements)
    if options.retain_safe_private then
      ds:remove_private("behind") -- what passes behind pixel data is not seen: nobody knows if it is safe
    else
      ds:remove_private()
    end
    for item, tag, vr, action in ds:walk(actions) do
      action(item, tag, vr)
    end
    put_replaced(ds, made)
    if not options.retain_uids then
      rename(ds)
    end
    -- Also behind pixel data, where no walk leads:
    ds[0xFFFAFFFA] = nil -- DigitalSignaturesSequence
    ds[0xFFFCFFFC] = nil -- DataSetTrailingPadding
    ds.PatientIdentityRemoved = "YES"
    ds.LongitudinalTemporalInformationModified = temporal
    record_method(ds)
    record_codes(ds, codes)
  end
end

return without_identity

-- A realistic site: CT, MR, ultrasound in a network of its own, two archives that look like one, a RIS,
-- teleradiology and a folder for research. `hilum check rules/example.lua` finds it fine. docs/config.md has
-- every key.

gateway {
  ae_title = "HILUM",
  memory = "512MiB",     -- of all payload held, over all associations
  max_associations = 200,
  timeouts = {
    connect = "3s",      -- an archive that cannot be reached within this counts as failed
    response = "30s",    -- so does one that does not answer within this after the last byte
    linger = "20s",      -- how long an idle association to an archive is kept for the next study
  },
  log = { level = "info", format = "json" },
}

-- Modalities may call from the radiology network only, workstations and archives from theirs; all must know
-- our title.
listen {
  name = "radiology",
  port = 11112,
  allow = { "10.20.0.0/16", "10.1.0.0/16", "127.0.0.1", "::1" },
  ae_titles = { "HILUM", "ARCHIVE" }, -- ARCHIVE: what the old scanners have been told
}

-- Ultrasound devices stand in a network of their own, with small PDUs.
listen { name = "ultrasound", port = 11113, allow = { "10.30.0.0/16" }, max_pdu = "64KiB" }

-- Who may do what: the first whose titles match, and nothing but that. Archives send what they move through
-- us, and report what they have committed. Everybody may ask by C-ECHO whether we are there.
caller "archives" {
  calling = { "PACS1", "PACS2" },
  allow = { "10.1.0.5", "10.1.0.6" },
  services = { "store", "commit" },
}
caller "workstations" {
  calling = "READING*",
  allow = { "10.1.2.0/24" },
  services = { "find", "move", "get" },
  max_associations = 20,
}
caller "modalities" {
  calling = "*",
  allow = { "10.20.0.0/16", "10.30.0.0/16", "127.0.0.1", "::1" },
  services = { "store", "worklist", "mpps", "commit" },
}

-- The main archives see the modality's own title; each takes four associations at a time. The second has
-- twice the disks, and so gets twice as many studies. What a workstation retrieves comes to us first, and
-- from here to the workstation: the archives need to know nobody but Hilum.
node "pacs1" {
  host = "10.1.0.5",
  port = 104,
  ae_title = "PACS1",
  calling = "pass",
  max_associations = 4,
  as = { move = "through us" },
}
node "pacs2" {
  host = "10.1.0.6",
  port = 104,
  ae_title = "PACS2",
  calling = "pass",
  max_associations = 4,
  weight = 2,
  as = { move = "through us" },
}

-- Together they are one archive: a study stays with one of them, and where that one is away it goes on at
-- the other.
pool "archive" {
  members = { "pacs1", "pacs2" },
  balance = "study",
  health = "5s", -- how often each is asked by C-ECHO whether it is there
}

-- Where radiologists read: known here, so that what they retrieve can be sent to them.
node "reading" { host = "10.1.2.20", port = 11112, ae_title = "READING1" }

-- The RIS: worklists, and what became of the procedures on them.
node "ris" { host = "10.1.0.9", port = 104, ae_title = "RIS" }

-- The teleradiology archive is far away: it may lag for longer before it holds others back.
-- Its address can be set from outside, as TELERAD_HOST.
node "teleradiology" {
  host = env("TELERAD_HOST", "telerad.example.org"),
  port = 11112,
  ae_title = "TELERAD",
  lag = "20s",
}

node "research" { folder = "/data/research/{calling}/{date}/{SOPInstanceUID}.dcm" }

-- Lua is there to be used: what several routes share is written once.
local scanners = { "CT1", "CT2", "MR*" }

-- Test images of the service engineers go nowhere but into the folder. Final: later routes are not looked at.
route "phantoms" {
  when = { calling = "SERVICE*" },
  to = "research",
  final = true,
}

-- Every image goes to the main archive, and the modality's answer waits for it.
route "all to the archive" {
  to = "archive",
}

-- CT and MR images of the scanners are read from home as well. Nobody asks the teleradiologists whether they
-- keep them.
route "scanners to teleradiology" {
  when = {
    calling = scanners,
    listener = "radiology",
    SOPClassUID = { "CTImageStorage", "EnhancedCTImageStorage", "MRImageStorage", "EnhancedMRImageStorage" },
  },
  to = "teleradiology",
  commit = false,
}

-- Ultrasound for research, except from the device that is on loan.
route "ultrasound for research" {
  when = { listener = "ultrasound", calling = { no = "LOAN_US" } },
  to = "research",
}

-- Queries see both archives as one; retrievals find out which of them has what is asked for.
for _, service in ipairs { "find", "move", "get" } do
  route(service .. " in the archive") {
    when = { service = service },
    to = "archive",
  }
end

-- Worklists come from the RIS. It still schedules the new X-ray room as CR; its device asks for DX, and is
-- shown DX.
local function rename(from, to)
  return function (ds)
    for _, step in ipairs(ds.ScheduledProcedureStepSequence or {}) do
      if step.Modality == from then step.Modality = to end
    end
  end
end
route "worklist" {
  when = { service = "worklist" },
  to = "ris",
  morph = rename("DX", "CR"),          -- what the device asks for
  morph_response = rename("CR", "DX"), -- what comes back
}

-- What a scanner did goes to the RIS, which is waited for, and to the second archive afterwards. Either is
-- queued for while it is away.
route "procedure steps" {
  when = { service = "mpps" },
  to = "ris",
  copy = "pacs2",
}

-- Scanners ask whether their images are safe, before they delete them: the archives that got them say so,
-- and Hilum tells.
route "storage commitment" {
  when = { service = "commit" },
}

-- C-ECHO from the scanners asks the archive itself; from everyone else the gateway answers.
route "is the archive there" {
  when = { service = "echo", calling = scanners },
  to = "pacs1",
}

-- A realistic site: CT, MR, ultrasound in a network of its own, two archives and a folder for research.
-- `hilum check rules/example.lua` finds it fine. docs/config.md has every key.

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

-- Modalities may call from the radiology network only, and must know our title.
listen {
  name = "radiology",
  port = 11112,
  allow = { "10.20.0.0/16", "127.0.0.1", "::1" },
  ae_titles = { "HILUM", "ARCHIVE" }, -- ARCHIVE: what the old scanners have been told
}

-- Ultrasound devices stand in a network of their own, with small PDUs.
listen { name = "ultrasound", port = 11113, allow = { "10.30.0.0/16" }, max_pdu = "64KiB" }

-- The main archive sees the modality's own title; it takes four associations at a time.
node "pacs" {
  host = "10.1.0.5",
  port = 104,
  ae_title = "PACS",
  calling = "pass",
  max_associations = 4,
}

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
  to = "pacs",
}

-- CT and MR images of the scanners are read from home as well.
route "scanners to teleradiology" {
  when = {
    calling = scanners,
    listener = "radiology",
    SOPClassUID = { "CTImageStorage", "EnhancedCTImageStorage", "MRImageStorage", "EnhancedMRImageStorage" },
  },
  to = "teleradiology",
}

-- Ultrasound for research, except from the device that is on loan.
route "ultrasound for research" {
  when = { listener = "ultrasound", calling = { no = "LOAN_US" } },
  to = "research",
}

-- C-ECHO from the scanners asks the archive itself; from everyone else the gateway answers.
route "is the archive there" {
  when = { service = "echo", calling = scanners },
  to = "pacs",
}

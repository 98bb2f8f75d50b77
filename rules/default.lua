-- Hilum's default configuration: `make run` starts the gateway on it.
--
-- It accepts every instance that is sent to port 11112 from this machine or a private network, whatever the
-- sender's title, and writes it as a Part 10 file below ./hilum-archive, one folder a day and sender. The
-- sender hears "success" when its file is safe on disk.
--
--   storescu localhost 11112 image.dcm      with DCMTK; or point a modality here
--
-- To make it yours, copy this file, change it, then
--
--   hilum check my.lua         says what is wrong, with its line, and what would be right
--   hilum run my.lua           starts it; on SIGHUP it reads the file again
--
-- A configuration is Lua 5.4 and made of a few declarations. rules/example.lua shows a whole site,
-- docs/config.md has every key.

-- gateway: settings of the whole, all optional. These are the defaults.
gateway {
  ae_title = "HILUM",                          -- our own title, where we call others
  max_pdu = "1MiB",                            -- the largest PDU that we let others send
  log = { level = "info", format = "logfmt" }, -- "debug" shows more; "json" is for log collectors
}

-- listen: where we are called. "11112" is every address of this machine, "127.0.0.1:11112" only the machine
-- itself. `allow` says who may come: make it the networks of your modalities. A `caller` says what each may
-- do.
listen {
  port = 11112,
  allow = {
    "127.0.0.1", "::1",                              -- this machine
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", -- private networks
    "fc00::/7", "fe80::/10",
  },
}

-- node: where instances can go. A folder has a path pattern: {SOPInstanceUID}, {SOPClassUID}, {calling},
-- {called} and {date}. A remote AE would be:
--
--   node "pacs" { host = "10.1.0.5", port = 104, ae_title = "PACS" }
node "archive" { folder = "./hilum-archive/{date}/{calling}/{SOPInstanceUID}.dcm" }

-- route: what goes where. Every route whose `when` holds contributes its destinations; this one has none
-- and always holds. The sender is answered when all of `to` have the instance.
route "everything to the archive" {
  to = { "archive" },
}

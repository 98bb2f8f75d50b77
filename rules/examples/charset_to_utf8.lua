-- Sends every text on in UTF-8 (ISO_IR 192), for archives and programs that know nothing else.
--
--   morph = require "examples.charset_to_utf8"
--
-- Texts are encoded anew at every depth, from the character set that the instance names; values stay what
-- they were. Where an instance names none, or the wrong one, bytes that have no meaning in it stay if they
-- are UTF-8 already, as many devices write; else U+FFFD stands for each. ASCII is UTF-8: an instance that
-- has nothing else only gets the new name. GB18030 holds every character too, and is left alone.

return function (ds)
  if ds.SpecificCharacterSet ~= "GB18030" then
    ds.SpecificCharacterSet = "ISO_IR 192"
  end
end

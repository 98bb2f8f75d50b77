/* An element a line. */
/* clang-format off */
#include "golden_commands.h"

#define HAS(name) DIMSE_HAS_##name
#define V(text)   {(const uint8_t *)(text), sizeof(text) - 1}
#define G(bytes)  (const uint8_t *)(bytes), sizeof(bytes) - 1

static const char c_store_rq[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x78\x00\x00\x00" /* (0000,0000) Command Group Length: 120 */
    "\x00\x00\x02\x00" "\x1a\x00\x00\x00" "1.2.840.10008.5.1.4.1.1.2\0" /* (0000,0002) Affected SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x01\x00" /* (0000,0100) Command Field: 0001 */
    "\x00\x00\x10\x01" "\x02\x00\x00\x00" "\x07\x00" /* (0000,0110) Message ID: 7 */
    "\x00\x00\x00\x07" "\x02\x00\x00\x00" "\x00\x00" /* (0000,0700) Priority: medium */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x00" /* (0000,0800) Command Data Set Type: a data set follows */
    "\x00\x00\x00\x10" "\x0c\x00\x00\x00" "1.2.3.4.5.6\0" /* (0000,1000) Affected SOP Instance UID */
    "\x00\x00\x30\x10" "\x08\x00\x00\x00" "ARCHIVE " /* (0000,1030) Move Originator AE Title */
    "\x00\x00\x31\x10" "\x02\x00\x00\x00" "\x34\x12"; /* (0000,1031) Move Originator Message ID: 4660 */

static const char c_store_rsp[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x7e\x00\x00\x00" /* (0000,0000) Command Group Length: 126 */
    "\x00\x00\x02\x00" "\x1a\x00\x00\x00" "1.2.840.10008.5.1.4.1.1.2\0" /* (0000,0002) Affected SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x01\x80" /* (0000,0100) Command Field: 8001 */
    "\x00\x00\x20\x01" "\x02\x00\x00\x00" "\x07\x00" /* (0000,0120) Message ID Being Responded To: 7 */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x01" /* (0000,0800) Command Data Set Type: no data set */
    "\x00\x00\x00\x09" "\x02\x00\x00\x00" "\x00\xb0" /* (0000,0900) Status: B000 */
    "\x00\x00\x01\x09" "\x08\x00\x00\x00" "\x10\x00\x10\x00\x08\x00\x60\x00" /* (0000,0901) Offending Element: (0010,0010), (0008,0060) */
    "\x00\x00\x02\x09" "\x08\x00\x00\x00" "coerced " /* (0000,0902) Error Comment */
    "\x00\x00\x00\x10" "\x0c\x00\x00\x00" "1.2.3.4.5.6\0"; /* (0000,1000) Affected SOP Instance UID */

static const char c_get_rq[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x4c\x00\x00\x00" /* (0000,0000) Command Group Length: 76 */
    "\x00\x00\x02\x00" "\x1c\x00\x00\x00" "1.2.840.10008.5.1.4.1.2.2.3\0" /* (0000,0002) Affected SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x10\x00" /* (0000,0100) Command Field: 0010 */
    "\x00\x00\x10\x01" "\x02\x00\x00\x00" "\x08\x00" /* (0000,0110) Message ID: 8 */
    "\x00\x00\x00\x07" "\x02\x00\x00\x00" "\x02\x00" /* (0000,0700) Priority: low */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x00"; /* (0000,0800) Command Data Set Type: a data set follows */

static const char c_get_rsp[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x74\x00\x00\x00" /* (0000,0000) Command Group Length: 116 */
    "\x00\x00\x02\x00" "\x1c\x00\x00\x00" "1.2.840.10008.5.1.4.1.2.2.3\0" /* (0000,0002) Affected SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x10\x80" /* (0000,0100) Command Field: 8010 */
    "\x00\x00\x20\x01" "\x02\x00\x00\x00" "\x08\x00" /* (0000,0120) Message ID Being Responded To: 8 */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x01" /* (0000,0800) Command Data Set Type: no data set */
    "\x00\x00\x00\x09" "\x02\x00\x00\x00" "\x00\xff" /* (0000,0900) Status: FF00 */
    "\x00\x00\x20\x10" "\x02\x00\x00\x00" "\x03\x00" /* (0000,1020) Number of Remaining Sub-operations: 3 */
    "\x00\x00\x21\x10" "\x02\x00\x00\x00" "\x02\x00" /* (0000,1021) Number of Completed Sub-operations: 2 */
    "\x00\x00\x22\x10" "\x02\x00\x00\x00" "\x01\x00" /* (0000,1022) Number of Failed Sub-operations: 1 */
    "\x00\x00\x23\x10" "\x02\x00\x00\x00" "\x00\x00"; /* (0000,1023) Number of Warning Sub-operations: 0 */

static const char c_find_rq[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x4c\x00\x00\x00" /* (0000,0000) Command Group Length: 76 */
    "\x00\x00\x02\x00" "\x1c\x00\x00\x00" "1.2.840.10008.5.1.4.1.2.2.1\0" /* (0000,0002) Affected SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x20\x00" /* (0000,0100) Command Field: 0020 */
    "\x00\x00\x10\x01" "\x02\x00\x00\x00" "\x09\x00" /* (0000,0110) Message ID: 9 */
    "\x00\x00\x00\x07" "\x02\x00\x00\x00" "\x01\x00" /* (0000,0700) Priority: high */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x00"; /* (0000,0800) Command Data Set Type: a data set follows */

static const char c_find_rsp[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x4c\x00\x00\x00" /* (0000,0000) Command Group Length: 76 */
    "\x00\x00\x02\x00" "\x1c\x00\x00\x00" "1.2.840.10008.5.1.4.1.2.2.1\0" /* (0000,0002) Affected SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x20\x80" /* (0000,0100) Command Field: 8020 */
    "\x00\x00\x20\x01" "\x02\x00\x00\x00" "\x09\x00" /* (0000,0120) Message ID Being Responded To: 9 */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x00" /* (0000,0800) Command Data Set Type: a data set follows */
    "\x00\x00\x00\x09" "\x02\x00\x00\x00" "\x01\xff"; /* (0000,0900) Status: FF01 */

static const char c_move_rq[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x5c\x00\x00\x00" /* (0000,0000) Command Group Length: 92 */
    "\x00\x00\x02\x00" "\x1c\x00\x00\x00" "1.2.840.10008.5.1.4.1.2.2.2\0" /* (0000,0002) Affected SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x21\x00" /* (0000,0100) Command Field: 0021 */
    "\x00\x00\x10\x01" "\x02\x00\x00\x00" "\x0a\x00" /* (0000,0110) Message ID: 10 */
    "\x00\x00\x00\x06" "\x08\x00\x00\x00" "VIEWER1 " /* (0000,0600) Move Destination */
    "\x00\x00\x00\x07" "\x02\x00\x00\x00" "\x00\x00" /* (0000,0700) Priority: medium */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x00"; /* (0000,0800) Command Data Set Type: a data set follows */

static const char c_move_rsp[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x64\x00\x00\x00" /* (0000,0000) Command Group Length: 100 */
    "\x00\x00\x02\x00" "\x1c\x00\x00\x00" "1.2.840.10008.5.1.4.1.2.2.2\0" /* (0000,0002) Affected SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x21\x80" /* (0000,0100) Command Field: 8021 */
    "\x00\x00\x20\x01" "\x02\x00\x00\x00" "\x0a\x00" /* (0000,0120) Message ID Being Responded To: 10 */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x01" /* (0000,0800) Command Data Set Type: no data set */
    "\x00\x00\x00\x09" "\x02\x00\x00\x00" "\x01\xa8" /* (0000,0900) Status: A801 */
    "\x00\x00\x02\x09" "\x10\x00\x00\x00" "who is VIEWER1? "; /* (0000,0902) Error Comment */

static const char c_echo_rq[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x38\x00\x00\x00" /* (0000,0000) Command Group Length: 56 */
    "\x00\x00\x02\x00" "\x12\x00\x00\x00" "1.2.840.10008.1.1\0" /* (0000,0002) Affected SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x30\x00" /* (0000,0100) Command Field: 0030 */
    "\x00\x00\x10\x01" "\x02\x00\x00\x00" "\xff\xff" /* (0000,0110) Message ID: 65535 */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x01"; /* (0000,0800) Command Data Set Type: no data set */

static const char c_echo_rsp[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x42\x00\x00\x00" /* (0000,0000) Command Group Length: 66 */
    "\x00\x00\x02\x00" "\x12\x00\x00\x00" "1.2.840.10008.1.1\0" /* (0000,0002) Affected SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x30\x80" /* (0000,0100) Command Field: 8030 */
    "\x00\x00\x20\x01" "\x02\x00\x00\x00" "\xff\xff" /* (0000,0120) Message ID Being Responded To: 65535 */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x01" /* (0000,0800) Command Data Set Type: no data set */
    "\x00\x00\x00\x09" "\x02\x00\x00\x00" "\x00\x00"; /* (0000,0900) Status: 0000 */

static const char n_event_report_rq[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x62\x00\x00\x00" /* (0000,0000) Command Group Length: 98 */
    "\x00\x00\x02\x00" "\x14\x00\x00\x00" "1.2.840.10008.1.20.1" /* (0000,0002) Affected SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x00\x01" /* (0000,0100) Command Field: 0100 */
    "\x00\x00\x10\x01" "\x02\x00\x00\x00" "\x0b\x00" /* (0000,0110) Message ID: 11 */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x00" /* (0000,0800) Command Data Set Type: a data set follows */
    "\x00\x00\x00\x10" "\x16\x00\x00\x00" "1.2.840.10008.1.20.1.1" /* (0000,1000) Affected SOP Instance UID */
    "\x00\x00\x02\x10" "\x02\x00\x00\x00" "\x02\x00"; /* (0000,1002) Event Type ID: 2 */

static const char n_event_report_rsp[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x6c\x00\x00\x00" /* (0000,0000) Command Group Length: 108 */
    "\x00\x00\x02\x00" "\x14\x00\x00\x00" "1.2.840.10008.1.20.1" /* (0000,0002) Affected SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x00\x81" /* (0000,0100) Command Field: 8100 */
    "\x00\x00\x20\x01" "\x02\x00\x00\x00" "\x0b\x00" /* (0000,0120) Message ID Being Responded To: 11 */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x01" /* (0000,0800) Command Data Set Type: no data set */
    "\x00\x00\x00\x09" "\x02\x00\x00\x00" "\x00\x00" /* (0000,0900) Status: 0000 */
    "\x00\x00\x00\x10" "\x16\x00\x00\x00" "1.2.840.10008.1.20.1.1" /* (0000,1000) Affected SOP Instance UID */
    "\x00\x00\x02\x10" "\x02\x00\x00\x00" "\x02\x00"; /* (0000,1002) Event Type ID: 2 */

static const char n_get_rq[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x6a\x00\x00\x00" /* (0000,0000) Command Group Length: 106 */
    "\x00\x00\x03\x00" "\x16\x00\x00\x00" "1.2.840.10008.5.1.1.16" /* (0000,0003) Requested SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x10\x01" /* (0000,0100) Command Field: 0110 */
    "\x00\x00\x10\x01" "\x02\x00\x00\x00" "\x0c\x00" /* (0000,0110) Message ID: 12 */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x01" /* (0000,0800) Command Data Set Type: no data set */
    "\x00\x00\x01\x10" "\x16\x00\x00\x00" "1.2.840.10008.5.1.1.17" /* (0000,1001) Requested SOP Instance UID */
    "\x00\x00\x05\x10" "\x08\x00\x00\x00" "\x10\x21\x10\x00\x10\x21\x20\x00"; /* (0000,1005) Attribute Identifier List: (2110,0010), (2110,0020) */

static const char n_get_rsp[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x70\x00\x00\x00" /* (0000,0000) Command Group Length: 112 */
    "\x00\x00\x02\x00" "\x16\x00\x00\x00" "1.2.840.10008.5.1.1.16" /* (0000,0002) Affected SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x10\x81" /* (0000,0100) Command Field: 8110 */
    "\x00\x00\x20\x01" "\x02\x00\x00\x00" "\x0c\x00" /* (0000,0120) Message ID Being Responded To: 12 */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x00" /* (0000,0800) Command Data Set Type: a data set follows */
    "\x00\x00\x00\x09" "\x02\x00\x00\x00" "\x07\x01" /* (0000,0900) Status: 0107 */
    "\x00\x00\x00\x10" "\x16\x00\x00\x00" "1.2.840.10008.5.1.1.17" /* (0000,1000) Affected SOP Instance UID */
    "\x00\x00\x05\x10" "\x04\x00\x00\x00" "\x10\x21\x20\x00"; /* (0000,1005) Attribute Identifier List: (2110,0020) */

static const char n_set_rq[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x52\x00\x00\x00" /* (0000,0000) Command Group Length: 82 */
    "\x00\x00\x03\x00" "\x18\x00\x00\x00" "1.2.840.10008.3.1.2.3.3\0" /* (0000,0003) Requested SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x20\x01" /* (0000,0100) Command Field: 0120 */
    "\x00\x00\x10\x01" "\x02\x00\x00\x00" "\x0d\x00" /* (0000,0110) Message ID: 13 */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x00" /* (0000,0800) Command Data Set Type: a data set follows */
    "\x00\x00\x01\x10" "\x0c\x00\x00\x00" "1.2.3.4.5.6\0"; /* (0000,1001) Requested SOP Instance UID */

static const char n_set_rsp[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x66\x00\x00\x00" /* (0000,0000) Command Group Length: 102 */
    "\x00\x00\x02\x00" "\x18\x00\x00\x00" "1.2.840.10008.3.1.2.3.3\0" /* (0000,0002) Affected SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x20\x81" /* (0000,0100) Command Field: 8120 */
    "\x00\x00\x20\x01" "\x02\x00\x00\x00" "\x0d\x00" /* (0000,0120) Message ID Being Responded To: 13 */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x01" /* (0000,0800) Command Data Set Type: no data set */
    "\x00\x00\x00\x09" "\x02\x00\x00\x00" "\x10\x01" /* (0000,0900) Status: 0110 */
    "\x00\x00\x03\x09" "\x02\x00\x00\x00" "\x10\xa7" /* (0000,0903) Error ID: A710 */
    "\x00\x00\x00\x10" "\x0c\x00\x00\x00" "1.2.3.4.5.6\0"; /* (0000,1000) Affected SOP Instance UID */

static const char n_action_rq[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x62\x00\x00\x00" /* (0000,0000) Command Group Length: 98 */
    "\x00\x00\x03\x00" "\x14\x00\x00\x00" "1.2.840.10008.1.20.1" /* (0000,0003) Requested SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x30\x01" /* (0000,0100) Command Field: 0130 */
    "\x00\x00\x10\x01" "\x02\x00\x00\x00" "\x0e\x00" /* (0000,0110) Message ID: 14 */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x00" /* (0000,0800) Command Data Set Type: a data set follows */
    "\x00\x00\x01\x10" "\x16\x00\x00\x00" "1.2.840.10008.1.20.1.1" /* (0000,1001) Requested SOP Instance UID */
    "\x00\x00\x08\x10" "\x02\x00\x00\x00" "\x01\x00"; /* (0000,1008) Action Type ID: 1 */

static const char n_action_rsp[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x6c\x00\x00\x00" /* (0000,0000) Command Group Length: 108 */
    "\x00\x00\x02\x00" "\x14\x00\x00\x00" "1.2.840.10008.1.20.1" /* (0000,0002) Affected SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x30\x81" /* (0000,0100) Command Field: 8130 */
    "\x00\x00\x20\x01" "\x02\x00\x00\x00" "\x0e\x00" /* (0000,0120) Message ID Being Responded To: 14 */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x01" /* (0000,0800) Command Data Set Type: no data set */
    "\x00\x00\x00\x09" "\x02\x00\x00\x00" "\x00\x00" /* (0000,0900) Status: 0000 */
    "\x00\x00\x00\x10" "\x16\x00\x00\x00" "1.2.840.10008.1.20.1.1" /* (0000,1000) Affected SOP Instance UID */
    "\x00\x00\x08\x10" "\x02\x00\x00\x00" "\x01\x00"; /* (0000,1008) Action Type ID: 1 */

static const char n_create_rq[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x52\x00\x00\x00" /* (0000,0000) Command Group Length: 82 */
    "\x00\x00\x02\x00" "\x18\x00\x00\x00" "1.2.840.10008.3.1.2.3.3\0" /* (0000,0002) Affected SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x40\x01" /* (0000,0100) Command Field: 0140 */
    "\x00\x00\x10\x01" "\x02\x00\x00\x00" "\x0f\x00" /* (0000,0110) Message ID: 15 */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x00" /* (0000,0800) Command Data Set Type: a data set follows */
    "\x00\x00\x00\x10" "\x0c\x00\x00\x00" "1.2.3.4.5.6\0"; /* (0000,1000) Affected SOP Instance UID */

static const char n_create_rsp[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x5c\x00\x00\x00" /* (0000,0000) Command Group Length: 92 */
    "\x00\x00\x02\x00" "\x18\x00\x00\x00" "1.2.840.10008.3.1.2.3.3\0" /* (0000,0002) Affected SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x40\x81" /* (0000,0100) Command Field: 8140 */
    "\x00\x00\x20\x01" "\x02\x00\x00\x00" "\x0f\x00" /* (0000,0120) Message ID Being Responded To: 15 */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x01" /* (0000,0800) Command Data Set Type: no data set */
    "\x00\x00\x00\x09" "\x02\x00\x00\x00" "\x11\x01" /* (0000,0900) Status: 0111 */
    "\x00\x00\x00\x10" "\x0c\x00\x00\x00" "1.2.3.4.5.6\0"; /* (0000,1000) Affected SOP Instance UID */

static const char n_delete_rq[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x50\x00\x00\x00" /* (0000,0000) Command Group Length: 80 */
    "\x00\x00\x03\x00" "\x16\x00\x00\x00" "1.2.840.10008.5.1.1.1\0" /* (0000,0003) Requested SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x50\x01" /* (0000,0100) Command Field: 0150 */
    "\x00\x00\x10\x01" "\x02\x00\x00\x00" "\x10\x00" /* (0000,0110) Message ID: 16 */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x01" /* (0000,0800) Command Data Set Type: no data set */
    "\x00\x00\x01\x10" "\x0c\x00\x00\x00" "1.2.3.4.5.6\0"; /* (0000,1001) Requested SOP Instance UID */

static const char n_delete_rsp[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x5a\x00\x00\x00" /* (0000,0000) Command Group Length: 90 */
    "\x00\x00\x02\x00" "\x16\x00\x00\x00" "1.2.840.10008.5.1.1.1\0" /* (0000,0002) Affected SOP Class UID */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\x50\x81" /* (0000,0100) Command Field: 8150 */
    "\x00\x00\x20\x01" "\x02\x00\x00\x00" "\x10\x00" /* (0000,0120) Message ID Being Responded To: 16 */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x01" /* (0000,0800) Command Data Set Type: no data set */
    "\x00\x00\x00\x09" "\x02\x00\x00\x00" "\x12\x01" /* (0000,0900) Status: 0112 */
    "\x00\x00\x00\x10" "\x0c\x00\x00\x00" "1.2.3.4.5.6\0"; /* (0000,1000) Affected SOP Instance UID */

static const char c_cancel_rq[] =
    "\x00\x00\x00\x00" "\x04\x00\x00\x00" "\x1e\x00\x00\x00" /* (0000,0000) Command Group Length: 30 */
    "\x00\x00\x00\x01" "\x02\x00\x00\x00" "\xff\x0f" /* (0000,0100) Command Field: 0FFF */
    "\x00\x00\x20\x01" "\x02\x00\x00\x00" "\x09\x00" /* (0000,0120) Message ID Being Responded To: 9 */
    "\x00\x00\x00\x08" "\x02\x00\x00\x00" "\x01\x01"; /* (0000,0800) Command Data Set Type: no data set */

const struct golden golden_commands[] = {
    {"C-STORE-RQ", G(c_store_rq),
     {.has = HAS(AFFECTED_CLASS) | HAS(FIELD) | HAS(MESSAGE_ID) | HAS(PRIORITY) |
              HAS(DATA_SET_TYPE) | HAS(AFFECTED_INSTANCE) | HAS(ORIGINATOR_TITLE) |
              HAS(ORIGINATOR_ID),
      .affected_class = V("1.2.840.10008.5.1.4.1.1.2\0"),
      .field = DIMSE_C_STORE_RQ,
      .message_id = 7,
      .priority = 0,
      .data_set_type = 0x0001,
      .affected_instance = V("1.2.3.4.5.6\0"),
      .originator_title = V("ARCHIVE "),
      .originator_id = 0x1234}},
    {"C-STORE-RSP", G(c_store_rsp),
     {.has = HAS(AFFECTED_CLASS) | HAS(FIELD) | HAS(RESPONDED_ID) | HAS(DATA_SET_TYPE) |
              HAS(STATUS) | HAS(OFFENDING) | HAS(COMMENT) | HAS(AFFECTED_INSTANCE),
      .affected_class = V("1.2.840.10008.5.1.4.1.1.2\0"),
      .field = DIMSE_C_STORE_RSP,
      .responded_id = 7,
      .data_set_type = 0x0101,
      .status = 0xB000,
      .offending = V("\x10\x00\x10\x00\x08\x00\x60\x00"),
      .comment = V("coerced "),
      .affected_instance = V("1.2.3.4.5.6\0")}},
    {"C-GET-RQ", G(c_get_rq),
     {.has = HAS(AFFECTED_CLASS) | HAS(FIELD) | HAS(MESSAGE_ID) | HAS(PRIORITY) |
              HAS(DATA_SET_TYPE),
      .affected_class = V("1.2.840.10008.5.1.4.1.2.2.3\0"),
      .field = DIMSE_C_GET_RQ,
      .message_id = 8,
      .priority = 2,
      .data_set_type = 0x0001}},
    {"C-GET-RSP", G(c_get_rsp),
     {.has = HAS(AFFECTED_CLASS) | HAS(FIELD) | HAS(RESPONDED_ID) | HAS(DATA_SET_TYPE) |
              HAS(STATUS) | HAS(REMAINING) | HAS(COMPLETED) | HAS(FAILED) | HAS(WARNING),
      .affected_class = V("1.2.840.10008.5.1.4.1.2.2.3\0"),
      .field = DIMSE_C_GET_RSP,
      .responded_id = 8,
      .data_set_type = 0x0101,
      .status = 0xFF00,
      .remaining = 3,
      .completed = 2,
      .failed = 1,
      .warning = 0}},
    {"C-FIND-RQ", G(c_find_rq),
     {.has = HAS(AFFECTED_CLASS) | HAS(FIELD) | HAS(MESSAGE_ID) | HAS(PRIORITY) |
              HAS(DATA_SET_TYPE),
      .affected_class = V("1.2.840.10008.5.1.4.1.2.2.1\0"),
      .field = DIMSE_C_FIND_RQ,
      .message_id = 9,
      .priority = 1,
      .data_set_type = 0x0001}},
    {"C-FIND-RSP", G(c_find_rsp),
     {.has = HAS(AFFECTED_CLASS) | HAS(FIELD) | HAS(RESPONDED_ID) | HAS(DATA_SET_TYPE) |
              HAS(STATUS),
      .affected_class = V("1.2.840.10008.5.1.4.1.2.2.1\0"),
      .field = DIMSE_C_FIND_RSP,
      .responded_id = 9,
      .data_set_type = 0x0001,
      .status = 0xFF01}},
    {"C-MOVE-RQ", G(c_move_rq),
     {.has = HAS(AFFECTED_CLASS) | HAS(FIELD) | HAS(MESSAGE_ID) | HAS(MOVE_DESTINATION) |
              HAS(PRIORITY) | HAS(DATA_SET_TYPE),
      .affected_class = V("1.2.840.10008.5.1.4.1.2.2.2\0"),
      .field = DIMSE_C_MOVE_RQ,
      .message_id = 10,
      .move_destination = V("VIEWER1 "),
      .priority = 0,
      .data_set_type = 0x0001}},
    {"C-MOVE-RSP", G(c_move_rsp),
     {.has = HAS(AFFECTED_CLASS) | HAS(FIELD) | HAS(RESPONDED_ID) | HAS(DATA_SET_TYPE) |
              HAS(STATUS) | HAS(COMMENT),
      .affected_class = V("1.2.840.10008.5.1.4.1.2.2.2\0"),
      .field = DIMSE_C_MOVE_RSP,
      .responded_id = 10,
      .data_set_type = 0x0101,
      .status = 0xA801,
      .comment = V("who is VIEWER1? ")}},
    {"C-ECHO-RQ", G(c_echo_rq),
     {.has = HAS(AFFECTED_CLASS) | HAS(FIELD) | HAS(MESSAGE_ID) | HAS(DATA_SET_TYPE),
      .affected_class = V("1.2.840.10008.1.1\0"),
      .field = DIMSE_C_ECHO_RQ,
      .message_id = 65535,
      .data_set_type = 0x0101}},
    {"C-ECHO-RSP", G(c_echo_rsp),
     {.has = HAS(AFFECTED_CLASS) | HAS(FIELD) | HAS(RESPONDED_ID) | HAS(DATA_SET_TYPE) |
              HAS(STATUS),
      .affected_class = V("1.2.840.10008.1.1\0"),
      .field = DIMSE_C_ECHO_RSP,
      .responded_id = 65535,
      .data_set_type = 0x0101,
      .status = 0x0000}},
    {"N-EVENT-REPORT-RQ", G(n_event_report_rq),
     {.has = HAS(AFFECTED_CLASS) | HAS(FIELD) | HAS(MESSAGE_ID) | HAS(DATA_SET_TYPE) |
              HAS(AFFECTED_INSTANCE) | HAS(EVENT_TYPE),
      .affected_class = V("1.2.840.10008.1.20.1"),
      .field = DIMSE_N_EVENT_REPORT_RQ,
      .message_id = 11,
      .data_set_type = 0x0001,
      .affected_instance = V("1.2.840.10008.1.20.1.1"),
      .event_type = 2}},
    {"N-EVENT-REPORT-RSP", G(n_event_report_rsp),
     {.has = HAS(AFFECTED_CLASS) | HAS(FIELD) | HAS(RESPONDED_ID) | HAS(DATA_SET_TYPE) |
              HAS(STATUS) | HAS(AFFECTED_INSTANCE) | HAS(EVENT_TYPE),
      .affected_class = V("1.2.840.10008.1.20.1"),
      .field = DIMSE_N_EVENT_REPORT_RSP,
      .responded_id = 11,
      .data_set_type = 0x0101,
      .status = 0x0000,
      .affected_instance = V("1.2.840.10008.1.20.1.1"),
      .event_type = 2}},
    {"N-GET-RQ", G(n_get_rq),
     {.has = HAS(REQUESTED_CLASS) | HAS(FIELD) | HAS(MESSAGE_ID) | HAS(DATA_SET_TYPE) |
              HAS(REQUESTED_INSTANCE) | HAS(ATTRIBUTES),
      .requested_class = V("1.2.840.10008.5.1.1.16"),
      .field = DIMSE_N_GET_RQ,
      .message_id = 12,
      .data_set_type = 0x0101,
      .requested_instance = V("1.2.840.10008.5.1.1.17"),
      .attributes = V("\x10\x21\x10\x00\x10\x21\x20\x00")}},
    {"N-GET-RSP", G(n_get_rsp),
     {.has = HAS(AFFECTED_CLASS) | HAS(FIELD) | HAS(RESPONDED_ID) | HAS(DATA_SET_TYPE) |
              HAS(STATUS) | HAS(AFFECTED_INSTANCE) | HAS(ATTRIBUTES),
      .affected_class = V("1.2.840.10008.5.1.1.16"),
      .field = DIMSE_N_GET_RSP,
      .responded_id = 12,
      .data_set_type = 0x0001,
      .status = 0x0107,
      .affected_instance = V("1.2.840.10008.5.1.1.17"),
      .attributes = V("\x10\x21\x20\x00")}},
    {"N-SET-RQ", G(n_set_rq),
     {.has = HAS(REQUESTED_CLASS) | HAS(FIELD) | HAS(MESSAGE_ID) | HAS(DATA_SET_TYPE) |
              HAS(REQUESTED_INSTANCE),
      .requested_class = V("1.2.840.10008.3.1.2.3.3\0"),
      .field = DIMSE_N_SET_RQ,
      .message_id = 13,
      .data_set_type = 0x0001,
      .requested_instance = V("1.2.3.4.5.6\0")}},
    {"N-SET-RSP", G(n_set_rsp),
     {.has = HAS(AFFECTED_CLASS) | HAS(FIELD) | HAS(RESPONDED_ID) | HAS(DATA_SET_TYPE) |
              HAS(STATUS) | HAS(ERROR_ID) | HAS(AFFECTED_INSTANCE),
      .affected_class = V("1.2.840.10008.3.1.2.3.3\0"),
      .field = DIMSE_N_SET_RSP,
      .responded_id = 13,
      .data_set_type = 0x0101,
      .status = 0x0110,
      .error_id = 0xA710,
      .affected_instance = V("1.2.3.4.5.6\0")}},
    {"N-ACTION-RQ", G(n_action_rq),
     {.has = HAS(REQUESTED_CLASS) | HAS(FIELD) | HAS(MESSAGE_ID) | HAS(DATA_SET_TYPE) |
              HAS(REQUESTED_INSTANCE) | HAS(ACTION_TYPE),
      .requested_class = V("1.2.840.10008.1.20.1"),
      .field = DIMSE_N_ACTION_RQ,
      .message_id = 14,
      .data_set_type = 0x0001,
      .requested_instance = V("1.2.840.10008.1.20.1.1"),
      .action_type = 1}},
    {"N-ACTION-RSP", G(n_action_rsp),
     {.has = HAS(AFFECTED_CLASS) | HAS(FIELD) | HAS(RESPONDED_ID) | HAS(DATA_SET_TYPE) |
              HAS(STATUS) | HAS(AFFECTED_INSTANCE) | HAS(ACTION_TYPE),
      .affected_class = V("1.2.840.10008.1.20.1"),
      .field = DIMSE_N_ACTION_RSP,
      .responded_id = 14,
      .data_set_type = 0x0101,
      .status = 0x0000,
      .affected_instance = V("1.2.840.10008.1.20.1.1"),
      .action_type = 1}},
    {"N-CREATE-RQ", G(n_create_rq),
     {.has = HAS(AFFECTED_CLASS) | HAS(FIELD) | HAS(MESSAGE_ID) | HAS(DATA_SET_TYPE) |
              HAS(AFFECTED_INSTANCE),
      .affected_class = V("1.2.840.10008.3.1.2.3.3\0"),
      .field = DIMSE_N_CREATE_RQ,
      .message_id = 15,
      .data_set_type = 0x0001,
      .affected_instance = V("1.2.3.4.5.6\0")}},
    {"N-CREATE-RSP", G(n_create_rsp),
     {.has = HAS(AFFECTED_CLASS) | HAS(FIELD) | HAS(RESPONDED_ID) | HAS(DATA_SET_TYPE) |
              HAS(STATUS) | HAS(AFFECTED_INSTANCE),
      .affected_class = V("1.2.840.10008.3.1.2.3.3\0"),
      .field = DIMSE_N_CREATE_RSP,
      .responded_id = 15,
      .data_set_type = 0x0101,
      .status = 0x0111,
      .affected_instance = V("1.2.3.4.5.6\0")}},
    {"N-DELETE-RQ", G(n_delete_rq),
     {.has = HAS(REQUESTED_CLASS) | HAS(FIELD) | HAS(MESSAGE_ID) | HAS(DATA_SET_TYPE) |
              HAS(REQUESTED_INSTANCE),
      .requested_class = V("1.2.840.10008.5.1.1.1\0"),
      .field = DIMSE_N_DELETE_RQ,
      .message_id = 16,
      .data_set_type = 0x0101,
      .requested_instance = V("1.2.3.4.5.6\0")}},
    {"N-DELETE-RSP", G(n_delete_rsp),
     {.has = HAS(AFFECTED_CLASS) | HAS(FIELD) | HAS(RESPONDED_ID) | HAS(DATA_SET_TYPE) |
              HAS(STATUS) | HAS(AFFECTED_INSTANCE),
      .affected_class = V("1.2.840.10008.5.1.1.1\0"),
      .field = DIMSE_N_DELETE_RSP,
      .responded_id = 16,
      .data_set_type = 0x0101,
      .status = 0x0112,
      .affected_instance = V("1.2.3.4.5.6\0")}},
    {"C-CANCEL-RQ", G(c_cancel_rq),
     {.has = HAS(FIELD) | HAS(RESPONDED_ID) | HAS(DATA_SET_TYPE),
      .field = DIMSE_C_CANCEL_RQ,
      .responded_id = 9,
      .data_set_type = 0x0101}},
};
const size_t golden_commands_count = sizeof(golden_commands) / sizeof(golden_commands[0]);

/*
 * A message that its command alone does not decide: its data set is held until what routes ask for has come.
 *
 *   attributes   until all that conditions ask for is known (dicom/peek.h)
 *   the header   all before pixel data, for functions and morphs
 *
 * What is held is gathered (gathered.h), in memory or in a file. A header that is complete and in memory is copied, once, into one piece; one that
 * is in a file is looked at there. That of a deflated data set is gathered as it is inflated, in memory, and counts against the pool meanwhile.
 */
#ifndef HILUM_RELAY_HOLD_H
#define HILUM_RELAY_HOLD_H

#include "config/config.h"
#include "dicom/deflate.h"
#include "dicom/peek.h"
#include "dicom/reader.h"
#include "mem/buf.h"
#include "relay/gathered.h"
#include "route/attributes.h"
#include "route/route.h"

struct hold {
    struct gathered *bytes; /* all that has come; borrowed */
    struct pool *pool;      /* that what is inflated counts against; NULL: nothing does */
    bool is_ended;          /* nothing more comes */

    bool *wanted; /* by attribute of the configuration, */
    bool *still;  /* and of these what a decision lacked last */
    struct dicom_peek *peek;
    struct route_attributes attributes;
    size_t known;                 /* that many of those that the peek looks for have been taken */
    enum result attributes_known; /* all of them. NEED_MORE: not yet; not OK: why */

    bool wants_header;
    enum result header_known;
    struct dicom_reader reader;
    struct dicom_encoding encoding;
    bool is_deflated;
    bool is_found;       /* where it ends, by now: */
    uint64_t header_len; /* inflated */
    uint32_t behind;     /* tag of the pixel data; 0: there are none */
    struct view header;  /* once it is known: of `copy`, or of the file */
    struct octets copy;
    size_t taken; /* of the pool's memory, for what `copy` gathers */
    uint64_t header_max;
    struct dicom_inflate *inflate; /* of a deflated data set: `copy` is gathered as it is inflated */

    const char *why; /* of what cannot be read: hold_why */
    uint32_t tag;
};

/* NULL without memory. The configuration outlives it, and so does what it is gathered in, which is empty. What is inflated counts against the pool;
 * NULL: it does not. */
struct hold *hold_new(const struct config *config, struct view transfer_syntax, struct gathered *bytes,
                      struct pool *pool);
void hold_free(struct hold **h);

/* Asks for what a decision still needs: `decided` is what route_decide said, OK or NEED_MORE, with *d and these facts. Attributes of
 * conditions and of destinations first; the header at once where nothing else can help. OK or ERR_MEMORY. */
MUST_USE enum result hold_begin(struct hold *h, const struct config *config, const struct route_facts *facts,
                                const struct route_decision *d, enum result decided);
/* Looks for the attributes that are set in h->wanted. */
MUST_USE enum result hold_want_attributes(struct hold *h, const struct config *config);
/* The header is asked for from now on; what is held already is looked through. */
void hold_want_header(struct hold *h);

/* The next bytes. ERR_MEMORY: they are not held. */
MUST_USE enum result hold_data(struct hold *h, struct buf *b, uint8_t *at, uint32_t len);
/* What it is gathered in has moved: a header that was waited for may be here. */
void hold_moved(struct hold *h);
/* The data set is over. */
void hold_end(struct hold *h);

/* All that was asked for is known, or never will be: OK; NEED_MORE; ERR_PROTO, ERR_MEMORY, ERR_LIMIT (it lies beyond header_max, or
 * header_spool_max), ERR_IO (it could not be gathered): `why` and `tag`. */
enum result hold_state(const struct hold *h);
/* Fixed text, of a state that is not OK and not NEED_MORE; NULL: no more is to be said. */
const char *hold_why(const struct hold *h);
/* The header is here. */
bool hold_has_header(const struct hold *h);

/*
 * Whoever decides: where hold_is_ready, hold_take_attributes, route_decide, hold_ask, until that says anything but NEED_MORE or it is not ready
 * any more. So a message is decided as soon as what is known decides it, whatever else some route might have asked for.
 */
/* Something more is known than when attributes were last taken, or nothing more will be; and what is held can be looked at. */
bool hold_is_ready(const struct hold *h);
/* The attributes found by now, as conditions look at them. */
MUST_USE enum result hold_take_attributes(struct hold *h, struct dicom_charsets *charsets);
/*
 * Whether that will do: `decided` is what route_decide said, OK or NEED_MORE, with *d and these facts.
 *
 * OK         the decision is made, with the attributes that its destinations want, and the header if it morphs
 * NEED_MORE  it is not; what it lacks has been asked for
 * else       what it lacks will not be known: as hold_state
 */
MUST_USE enum result hold_ask(struct hold *h, const struct config *config, const struct route_facts *facts,
                              const struct route_decision *d, enum result decided);

#endif

/* Claims that need not be durable at once: gathered, and written some at a time. */
#include "spool/indexer_inside.h"

enum { NOTED_MAX = 64 << 10 /* waits no longer for the indexer, who may have to rest */ };

void indexer_note_claim(struct indexer *ix, const struct record_claim *c)
{
    pthread_mutex_lock(&ix->lock);
    record_claim_write(&ix->claims, c);
    bool is_much = ix->claims.len >= NOTED_MAX || ix->claims.failed;
    pthread_mutex_unlock(&ix->lock);
    if (is_much)
        indexer_write_claims(ix);
}

/* The log is given them under the lock: else those that are noted next might stand before them. */
void indexer_write_claims(struct indexer *ix)
{
    pthread_mutex_lock(&ix->lock);
    if (ix->claims.len > 0 && !ix->claims.failed)
        (void)log_append(ix->log, RECORD_CLAIM, ix->claims.data, ix->claims.len, false);
    octets_clear(&ix->claims); /* without memory for them they are as good as lost in a crash */
    pthread_mutex_unlock(&ix->lock);
}

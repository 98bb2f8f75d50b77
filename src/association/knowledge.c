#include "association/knowledge.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "dicom/uid.h"

/* An entry stands within WINDOW places of where its key points: a whole request of 128 contexts fits without loss. A refusal
 * is forgotten sooner: somebody may just have taught the archive a new class. */
enum { ENTRIES = 16384, WINDOW = 16, KEEP_MS = 10 * 60 * 1000, KEEP_REFUSED_MS = 60 * 1000 };

struct entry {
    uint64_t key; /* 0: empty */
    uint64_t until_ms;
    int16_t choice;
    uint8_t result;
};

struct knowledge {
    uint64_t seed;
    struct entry entries[ENTRIES];
};

struct knowledge *knowledge_new(void)
{
    struct knowledge *k = calloc(1, sizeof(*k));
    if (k && getrandom(&k->seed, sizeof(k->seed), 0) != sizeof(k->seed))
        k->seed = (uint64_t)(uintptr_t)k;
    return k;
}

void knowledge_free(struct knowledge **k)
{
    free(*k);
    *k = NULL;
}

static void add(XXH64_state_t *state, const void *bytes, size_t len)
{
    uint32_t length = (uint32_t)len; /* delimits, so that fields cannot run into each other */
    XXH64_update(state, &length, sizeof(length));
    if (len > 0)
        XXH64_update(state, bytes, len);
}

static uint64_t key_of(const struct knowledge *k, const struct config_node *node, const char *calling,
                       struct view abstract_syntax, const struct view *transfer_syntaxes, unsigned count)
{
    XXH64_state_t state;
    XXH64_reset(&state, k->seed);
    add(&state, node->host, strlen(node->host));
    add(&state, &node->port, sizeof(node->port));
    add(&state, node->ae_title, strlen(node->ae_title));
    add(&state, calling, strlen(calling));
    add(&state, abstract_syntax.at, abstract_syntax.len);
    for (unsigned i = 0; i < count; i++)
        add(&state, transfer_syntaxes[i].at, transfer_syntaxes[i].len);
    uint64_t key = XXH64_digest(&state);
    return key ? key : 1;
}

int knowledge_choice(const struct knowledge *k, const struct config_node *node, const char *calling,
                     struct view abstract_syntax, const struct view *transfer_syntaxes, unsigned count,
                     uint64_t now_ms, uint8_t *result_out)
{
    uint64_t key = key_of(k, node, calling, abstract_syntax, transfer_syntaxes, count);
    for (unsigned i = 0; i < WINDOW; i++) {
        const struct entry *e = &k->entries[(key + i) % ENTRIES];
        if (e->key != key || e->until_ms <= now_ms)
            continue;
        if (e->choice == KNOWLEDGE_REFUSED && result_out)
            *result_out = e->result;
        return e->choice;
    }
    return KNOWLEDGE_UNKNOWN;
}

static void remember(struct knowledge *k, uint64_t key, int choice, uint8_t result, uint64_t now_ms)
{
    struct entry *to = &k->entries[key % ENTRIES];
    for (unsigned i = 0; i < WINDOW; i++) {
        struct entry *e = &k->entries[(key + i) % ENTRIES];
        if (e->key == key) {
            to = e;
            break;
        }
        if (e->until_ms < to->until_ms) /* empty, or the oldest */
            to = e;
    }
    uint64_t keep_ms = choice == KNOWLEDGE_REFUSED ? KEEP_REFUSED_MS : KEEP_MS;
    *to =
        (struct entry){.key = key, .until_ms = now_ms + keep_ms, .choice = (int16_t)choice, .result = result};
}

void knowledge_learn(struct knowledge *k, const struct config_node *node, const char *calling,
                     const struct pdu_associate *request, const struct pdu_associate *answer, uint64_t now_ms)
{
    for (unsigned i = 0; i < answer->context_count; i++) {
        const struct pdu_context *got = &answer->contexts[i];
        const struct pdu_context *asked = pdu_associate_context(request, got->id);
        if (!asked)
            continue;
        bool refused = got->result != PDU_CONTEXT_ACCEPTED || got->transfer_syntax_count == 0;
        int choice = KNOWLEDGE_REFUSED;
        for (int t = 0; !refused && t < asked->transfer_syntax_count; t++)
            if (choice < 0 && dicom_uid_equal(asked->transfer_syntaxes[t], got->transfer_syntaxes[0]))
                choice = t;
        /* Accepted with a transfer syntax that was not proposed: as good as refused, for our own reason. */
        uint8_t result = got->result == PDU_CONTEXT_ACCEPTED ? PDU_CONTEXT_TRANSFER_SYNTAXES : got->result;
        uint64_t key = key_of(k, node, calling, asked->abstract_syntax, asked->transfer_syntaxes,
                              asked->transfer_syntax_count);
        remember(k, key, choice, result, now_ms);
        for (int t = 0; asked->transfer_syntax_count > 1 && t < asked->transfer_syntax_count; t++) {
            if (!refused && t != choice)
                continue; /* beside the chosen one: unknown */
            uint64_t alone =
                key_of(k, node, calling, asked->abstract_syntax, &asked->transfer_syntaxes[t], 1);
            remember(k, alone, refused ? KNOWLEDGE_REFUSED : 0, result, now_ms);
        }
    }
}

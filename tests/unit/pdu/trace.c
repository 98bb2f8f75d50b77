#include "trace.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pdu/reader.h"

struct trace {
    char *text;
    size_t size, len;
    bool is_in_pdv;
};

__attribute__((format(printf, 2, 3))) static void add(struct trace *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->text + t->len, t->size - t->len, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= t->size - t->len)
        abort();
    t->len += (size_t)n;
}

static void add_hex(struct trace *t, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        add(t, "%02x", bytes[i]);
}

/* False when the trace is over. */
static bool add_event(struct trace *t, const struct pdu_event *e)
{
    switch (e->kind) {
    case PDU_EVENT_HEADER:
        add(t, "H%x:%u ", e->type, e->length);
        break;
    case PDU_EVENT_BODY:
        add(t, "B%x:", e->type);
        add_hex(t, e->body, e->body_len);
        add(t, " ");
        break;
    case PDU_EVENT_FRAGMENT:
        if (!t->is_in_pdv)
            add(t, "D%u/%u:", e->context_id, e->control);
        add_hex(t, e->piece, e->piece_len);
        if (e->is_pdv_end != (e->pdv_left == 0))
            abort();
        if (e->is_pdv_end)
            add(t, " ");
        t->is_in_pdv = !e->is_pdv_end;
        break;
    case PDU_EVENT_DATA_END:
        add(t, "E ");
        break;
    case PDU_EVENT_FAULT:
        add(t, "F%u ", e->fault.reason);
        return false;
    case PDU_EVENT_NONE:
        break;
    }
    return true;
}

static bool feed(struct trace *t, struct pdu_reader *r, const uint8_t *bytes, size_t len)
{
    struct pdu_event e;
    size_t used = 0;
    do {
        used += pdu_reader_next(r, bytes + used, len - used, &e);
        if (!add_event(t, &e))
            return false;
    } while (used < len || e.kind != PDU_EVENT_NONE);
    return true;
}

void trace_reader(const uint8_t *bytes, size_t len, size_t chunk, char *text, size_t text_size)
{
    struct trace t = {.text = text, .size = text_size};
    struct pdu_reader r;
    bool is_on = true;
    text[0] = '\0';
    pdu_reader_init(&r);
    for (size_t at = 0; is_on && at < len;) {
        size_t n = chunk && chunk < len - at ? chunk : len - at;
        uint8_t *input = malloc(n); /* exactly as long as the input: a sanitizer sees a read past it */
        if (!input)
            abort();
        memcpy(input, bytes + at, n);
        is_on = feed(&t, &r, input, n);
        free(input);
        at += n;
    }
    if (t.is_in_pdv)
        add(&t, "... ");
    if (t.len)
        text[t.len - 1] = '\0'; /* the last space */
    pdu_reader_free(&r);
}

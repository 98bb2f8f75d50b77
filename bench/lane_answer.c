/* What comes back to a lane: C-STORE-RSPs, each checked against its request. */
#include <string.h>

#include "dicom/uid.h"
#include "dimse/command.h"
#include "dimse/status.h"
#include "load.h"

static struct request *find_request(struct lane *l, uint16_t message_id)
{
    for (unsigned i = 0; i < l->window; i++)
        if (l->requests[i].is_used && l->requests[i].message_id == message_id)
            return &l->requests[i];
    return NULL;
}

static bool is_stored(uint16_t status)
{
    return status == DIMSE_STATUS_SUCCESS || (status & 0xF000) == 0xB000;
}

static void count(struct lane *l, const struct request *r, uint16_t status)
{
    struct load *load = l->load;
    const uint64_t now = now_ns();
    struct outcome *both[] = {&load->all, &load->titles[l->title]};
    if (load->phase == LOAD_STOPPING && load->options.seconds_ns)
        return; /* it came after the time */
    load->statuses[status]++;
    samples_add(&load->latency, now - r->start_ns);
    for (unsigned i = 0; i < 2; i++) {
        both[i]->last_ns = now;
        if (is_stored(status)) {
            both[i]->instances++;
            both[i]->bytes += load->instance.bytes;
        }
    }
}

static void think(struct lane *l)
{
    struct load *load = l->load;
    if (!load->options.think_ns || l->is_thinking)
        return;
    l->is_thinking = true;
    l->think_due_ns = now_ns() + load->options.think_ns;
    TAILQ_INSERT_TAIL(&load->thinking, l, thinking_next);
}

static void on_answer(struct lane *l, const struct dimse_command *c)
{
    if (c->field != DIMSE_C_STORE_RSP || dimse_has_data_set(c)) {
        lane_fault(l, "something else came than a C-STORE-RSP without a data set");
        return;
    }
    struct request *r = find_request(l, c->responded_id);
    if (!r) {
        lane_fault(l, "an answer to a message id that is not outstanding");
        return;
    }
    if (l->is_sending && r->message_id == l->message_id && is_stored(c->status)) {
        lane_fault(l, "an instance was answered before all of it was sent");
        return;
    }
    if (c->has & DIMSE_HAS_AFFECTED_INSTANCE) {
        uint8_t uid[INSTANCE_UID_BYTES];
        instance_uid(uid, INSTANCE_UID_SOP, l->load->seed, l->index, r->number);
        if (!dicom_uid_equal(c->affected_instance, (struct view){uid, sizeof uid})) {
            lane_fault(l, "an answer with the SOP Instance UID of another instance");
            return;
        }
    }
    if (r->is_counted)
        count(l, r, c->status);
    r->is_used = false;
    l->outstanding--;
    think(l);
    lane_wake(l);
}

void answers_on_data(struct lane *l, const struct pdu_event *e)
{
    struct dimse_command c;
    const char *why;
    if (!(e->control & PDV_COMMAND)) {
        lane_fault(l, "a data set where only answers belong");
        return;
    }
    if (e->context_id != LOAD_CONTEXT_ID || l->state != LANE_OPEN) {
        lane_fault(l, l->state == LANE_OPEN ? "an answer in another presentation context"
                                            : "an answer to a release");
        return;
    }
    octets_append(&l->answer, e->piece, e->piece_len);
    if (l->answer.len > DIMSE_COMMAND_MAX_BYTES) {
        lane_fault(l, "a command set without end");
        return;
    }
    if (!e->is_pdv_end || !(e->control & PDV_LAST))
        return;
    if (dimse_parse(l->answer.data, l->answer.len, &c, &why) != OK) {
        lane_fault(l, why);
        return;
    }
    on_answer(l, &c);
    octets_clear(&l->answer);
}

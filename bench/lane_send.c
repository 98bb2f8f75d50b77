/* The requests of a lane: which instance is next, and its bytes on their way to the kernel. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "dimse/command.h"
#include "load.h"

enum {
    SLICES = 512,
    TURN_BYTES = 1 << 20, /* that one call may take, so that lanes have their turns */
    PLACE = '#',          /* stands where a SOP Instance UID will be */
};

/* The command set, with places for message id and SOP Instance UID, whose widths do not change. */
static void write_command(struct lane *l)
{
    char place[INSTANCE_UID_BYTES];
    memset(place, PLACE, sizeof place);
    const struct dimse_command command = {
        .has = DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_FIELD | DIMSE_HAS_MESSAGE_ID | DIMSE_HAS_PRIORITY |
               DIMSE_HAS_DATA_SET_TYPE | DIMSE_HAS_AFFECTED_INSTANCE,
        .field = DIMSE_C_STORE_RQ,
        .message_id = 1,
        .data_set_type = DIMSE_DATA_SET,
        .affected_class = view_of(l->load->instance.sop_class),
        .affected_instance = {(const uint8_t *)place, sizeof place},
    };
    static const uint8_t MESSAGE_ID[] = {0x00, 0x00, 0x10, 0x01, 2, 0, 0, 0}; /* (0000,0110), 2 bytes */
    octets_clear(&l->command_bytes);
    dimse_write(&command, &l->command_bytes);
    hilum_assert(!l->command_bytes.failed);
    const uint8_t *id = memmem(l->command_bytes.data, l->command_bytes.len, MESSAGE_ID, sizeof MESSAGE_ID);
    const uint8_t *uid = memmem(l->command_bytes.data, l->command_bytes.len, place, sizeof place);
    hilum_assert(id && uid);
    l->message_id_at = (size_t)(id - l->command_bytes.data) + sizeof MESSAGE_ID;
    l->instance_uid_at = (size_t)(uid - l->command_bytes.data);
}

void requests_begin(struct lane *l)
{
    const struct load *load = l->load;
    const struct instance *i = &load->instance;
    write_command(l);
    instance_uid(l->head + i->study_at, INSTANCE_UID_STUDY, load->seed, l->index, l->connections);
    instance_uid(l->head + i->series_at, INSTANCE_UID_SERIES, load->seed, l->index, l->connections);
    const struct view command = {l->command_bytes.data, l->command_bytes.len}, head = {l->head, i->head.len};
    part_init(&l->command, command, NULL, command.len, l->fragment, LOAD_CONTEXT_ID, PDV_COMMAND);
    part_init(&l->data, head, load->block, i->bytes, l->fragment, LOAD_CONTEXT_ID, 0);
}

void requests_free(struct lane *l)
{
    if (l->requests)
        memset(l->requests, 0, l->load->options.window * sizeof *l->requests);
}

static struct request *free_request(struct lane *l)
{
    for (unsigned i = 0; i < l->window; i++)
        if (!l->requests[i].is_used)
            return &l->requests[i];
    return NULL;
}

/* Whether an instance may be begun now. */
static bool may_begin(const struct lane *l)
{
    if (l->is_sending || l->is_thinking || l->outstanding >= l->window || lane_is_done_here(l))
        return false;
    return l->warmup_left || (l->load->phase == LOAD_COUNTING && l->left);
}

static void begin(struct lane *l)
{
    struct load *load = l->load;
    struct request *r = free_request(l);
    hilum_assert(r);
    l->message_id = l->message_id == UINT16_MAX ? 1 : l->message_id + 1;
    *r = (struct request){.is_used = true,
                          .is_counted = l->warmup_left == 0,
                          .message_id = l->message_id,
                          .number = ++l->number,
                          .start_ns = now_ns()};
    put_le16(l->command_bytes.data + l->message_id_at, l->message_id);
    instance_uid(l->command_bytes.data + l->instance_uid_at, INSTANCE_UID_SOP, load->seed, l->index,
                 l->number);
    memcpy(l->head + load->instance.sop_at, l->command_bytes.data + l->instance_uid_at, INSTANCE_UID_BYTES);
    if (r->is_counted) {
        struct outcome *title = &load->titles[l->title];
        if (l->left != UINT64_MAX)
            l->left--;
        if (!load->all.first_ns) {
            load->all.first_ns = r->start_ns;
            load->cpu_start = cpu_now();
        }
        if (!title->first_ns)
            title->first_ns = r->start_ns;
    } else {
        l->warmup_left--;
    }
    l->begun_here++;
    l->outstanding++;
    l->sent = 0;
    l->is_sending = true;
}

/* One call: the next bytes of the message. */
static ssize_t send_slices(struct lane *l, uint64_t *wanted_out)
{
    struct iovec list[SLICES];
    struct slices s = {.at = list,
                       .cap = SLICES,
                       .bytes_max = l->tls ? SECURE_PORTION_BYTES : TURN_BYTES,
                       .is_apart = l->load->options.has_nagle};
    const uint64_t command_bytes = part_wire_bytes(&l->command);
    if (l->sent < command_bytes)
        part_slices(&l->command, l->sent, &s);
    if (!s.is_full)
        part_slices(&l->data, l->sent < command_bytes ? 0 : l->sent - command_bytes, &s);
    *wanted_out = l->tls && s.bytes > SECURE_PORTION_BYTES ? SECURE_PORTION_BYTES : s.bytes;
    return lane_put(l, list, s.count);
}

bool requests_send(struct lane *l)
{
    if (!l->is_sending) {
        if (!may_begin(l))
            return false;
        begin(l);
    }
    uint64_t wanted;
    ssize_t n = send_slices(l, &wanted);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        lane_fail(l, lane_why(l));
        return false;
    }
    l->sent += n > 0 ? (uint64_t)n : 0;
    if (l->sent == part_wire_bytes(&l->command) + part_wire_bytes(&l->data))
        l->is_sending = false;
    l->is_writable = n > 0 && (uint64_t)n == wanted && !(l->tls && secure_is_waiting(l->tls));
    return l->is_writable && (l->is_sending || may_begin(l));
}

/* hilum queue export: entries as files of Part 10. A file that is there is whole, and on disk: what it was made of may be dropped next. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "command/json.h"
#include "command/progress.h"
#include "command/queue.h"
#include "command/queue_instance.h"
#include "command/queue_print.h"
#include "dicom/part10.h"
#include "io/disk.h"

struct exporting {
    struct queue *q;
    struct queue_picks picks;
    struct progress progress;
    struct progress_numbers numbers;
    uint64_t begun_ms;
    json_t *files; /* NULL without --json */
    /* of the file that is being written */
    char path[SPOOL_PATH_MAX];
    int fd;
    uint64_t written;
};

/* --- one file ------------------------------------------------------------------------------------------------------ */

static bool on_bytes(void *owner, struct view bytes)
{
    struct exporting *x = owner;
    struct iovec part = {(void *)(uintptr_t)bytes.at, bytes.len};
    uint64_t done;
    enum io_error error = disk_write(x->fd, &part, 1, x->written, &done);
    x->written += done;
    return error == IO_NONE;
}

/* As a folder that is a node writes it. */
static enum result write_meta(struct exporting *x, const struct spool_entry *e)
{
    struct part10_meta meta = {.sop_class = view_of(e->sent_class),
                               .sop_instance = view_of(e->sent_instance),
                               .transfer_syntax = view_of(e->transfer_syntax),
                               .source_title = view_of(e->calling),
                               .sending_title = view_of(e->calling),
                               .receiving_title = view_of(e->called)};
    struct octets bytes = {0};
    part10_write(&meta, &bytes);
    enum result r = bytes.failed ? ERR_MEMORY : OK;
    if (r == OK && !on_bytes(x, (struct view){bytes.data, bytes.len}))
        r = ERR_IO;
    octets_free(&bytes);
    return r;
}

static void say_file(struct exporting *x, const char *why)
{
    progress_clear(&x->progress);
    queue_fail(x->q, x->path, why);
}

static enum result fill_file(struct exporting *x, const struct spool_entry *e)
{
    const char *why = "it cannot be written";
    enum result r = write_meta(x, e);
    if (r == OK)
        r = queue_instance_read(x->q->config->spool.path, e, on_bytes, x, &why);
    if (r == OK && disk_datasync(x->fd) != IO_NONE)
        r = ERR_IO;
    if (r == ERR_IO)
        why = disk_error_text();
    if (r != OK && r != ERR_MEMORY)
        say_file(x, why);
    return r;
}

static enum result write_file(struct exporting *x, const struct spool_entry *e)
{
    char id[SPOOL_ID_TEXT];
    spool_id_text(e->id, id);
    if (snprintf(x->path, sizeof(x->path), "%s/%s.dcm", x->q->o.out, id) >= (int)sizeof(x->path)) {
        say_file(x, "the path is too long");
        return ERR_IO;
    }
    enum io_error error = disk_open(x->path, DISK_CREATE_NEW, &x->fd);
    if (error != IO_NONE) {
        say_file(x, error == IO_EXISTS ? "it is there already, and is left as it is" : disk_error_text());
        return ERR_IO;
    }
    x->written = 0;
    enum result r = fill_file(x, e);
    disk_close(x->fd);
    if (r != OK && disk_unlink(x->path) != IO_NONE)
        say_file(x, "half a file is left: it cannot be removed");
    return r;
}

/* --- one entry ----------------------------------------------------------------------------------------------------- */

static enum result tell_file(struct exporting *x, const struct spool_entry *e)
{
    char id[SPOOL_ID_TEXT];
    if (!x->files) {
        progress_clear(&x->progress);
        spool_id_text(e->id, id);
        printf("%s  %s\n", id, x->path);
        return OK;
    }
    json_t *one = json_pack("{s:o, s:o, s:o, s:o}", "id", queue_id_json(e->id), "file",
                            command_json_text(x->path), "sop_instance", queue_text_json(e->sop_instance),
                            "sent_instance", queue_text_json(e->sent_instance));
    return json_array_append_new(x->files, one) == 0 ? OK : ERR_MEMORY;
}

/* What fails of one entry is told, and the others go on. */
static enum result export_one(struct exporting *x, const struct queue_pick *pick)
{
    struct spool_entry *e;
    char id[SPOOL_ID_TEXT];
    enum result r = index_entry(x->q->index, pick->id, &e);
    if (r != OK)
        return r;
    if (!e) {
        progress_clear(&x->progress);
        spool_id_text(pick->id, id);
        queue_fail(x->q, id,
                   "its bytes are not in the queue any more: it was delivered, dropped or has expired");
        return OK;
    }
    r = write_file(x, e);
    if (r == OK)
        r = tell_file(x, e);
    spool_entry_free(&e);
    return r == ERR_MEMORY ? r : OK;
}

static enum result export_all(struct exporting *x)
{
    enum result r = OK;
    x->begun_ms = clock_ms();
    x->numbers = (struct progress_numbers){.files_total = x->picks.count, .bytes_total = x->picks.bytes};
    for (size_t n = 0; r == OK && n < x->picks.count; n++) {
        r = export_one(x, &x->picks.of[n]);
        x->numbers.files_done++;
        x->numbers.bytes_done += x->picks.of[n].bytes;
        x->numbers.elapsed_ms = clock_ms() - x->begun_ms;
        progress_draw(&x->progress, &x->numbers);
    }
    progress_clear(&x->progress);
    return r;
}

/* --- the command --------------------------------------------------------------------------------------------------- */

static bool make_folder(struct queue *q)
{
    enum io_error error = disk_mkdir(q->o.out);
    if (error == IO_NONE || error == IO_EXISTS)
        return true;
    queue_fail(q, q->o.out, disk_error_text());
    return false;
}

static enum result finish(struct exporting *x)
{
    if (x->picks.count > 0 && disk_sync_folder(x->q->o.out) != IO_NONE)
        queue_fail(x->q, x->q->o.out, disk_error_text());
    if (!x->files)
        return OK;
    char *text =
        command_json_line(json_pack("{s:O, s:o}", "files", x->files, "failures", queue_failures(x->q)));
    if (text)
        puts(text);
    free(text);
    return text ? OK : ERR_MEMORY;
}

enum result queue_export(struct queue *q)
{
    struct exporting x = {.q = q, .fd = -1, .files = q->o.json ? json_array() : NULL};
    enum result r = q->o.json && !x.files ? ERR_MEMORY : queue_pick(q, &x.picks);
    progress_init(&x.progress, false);
    if (r == OK && make_folder(q)) {
        r = export_all(&x);
        if (r == OK)
            r = finish(&x);
        if (r == OK && x.picks.count == 0 && !q->has_failed && !q->o.json)
            fputs("hilum queue: nothing is queued that was asked for\n", stderr);
    }
    queue_picks_free(&x.picks);
    json_decref(x.files);
    return r;
}

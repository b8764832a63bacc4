/* line.c - reading lines.  The prompt goes to stderr, so that stdout holds answers alone. */
#include "cli/line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/run.h"

#ifdef ZX_HAVE_LIBEDIT
#include <histedit.h>
#endif

struct zx_cli_lines {
    const char *prompt;
    bool terminal;
#ifdef ZX_HAVE_LIBEDIT
    EditLine *editor;
    History *history;
#endif
};

#ifdef ZX_HAVE_LIBEDIT
enum { HISTORY_LINES = 500 };

static char *editor_prompt(EditLine *editor)
{
    void *lines = NULL;
    (void)el_get(editor, EL_CLIENTDATA, &lines);
    static char prompt[32];
    (void)snprintf(prompt, sizeof prompt, "%s", ((zx_cli_lines *)lines)->prompt);
    return prompt;
}

static void open_editor(zx_cli_lines *lines)
{
    HistEvent event;
    lines->history = history_init();
    lines->editor = el_init("zmlx", stdin, stderr, stderr);
    if (lines->editor == NULL || lines->history == NULL) return;
    (void)history(lines->history, &event, H_SETSIZE, HISTORY_LINES);
    (void)el_set(lines->editor, EL_CLIENTDATA, lines);
    (void)el_set(lines->editor, EL_PROMPT, editor_prompt);
    (void)el_set(lines->editor, EL_EDITOR, "emacs");
    (void)el_set(lines->editor, EL_HIST, history, lines->history);
    (void)el_set(lines->editor, EL_SIGNAL, 1); /* leaves the terminal as it was */
}

static void close_editor(const zx_cli_lines *lines)
{
    if (lines->editor != NULL) el_end(lines->editor);
    if (lines->history != NULL) history_end(lines->history);
}

static bool edit_line(const zx_cli_lines *lines, zx_cli_buffer *line)
{
    HistEvent event;
    int count = 0;
    const char *text = el_gets(lines->editor, &count);
    if (text == NULL || count <= 0) return false;
    if (count > 1) (void)history(lines->history, &event, H_ENTER, text);
    return zx_cli_buffer_append(line, text, (size_t)count);
}
#else
static void open_editor(const zx_cli_lines *lines)
{
    (void)lines;
}

static void close_editor(const zx_cli_lines *lines)
{
    (void)lines;
}
#endif

zx_cli_lines *zx_cli_lines_create(const char *prompt)
{
    zx_cli_lines *lines = calloc(1, sizeof *lines);
    if (lines == NULL) return NULL;
    lines->prompt = prompt;
    lines->terminal = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
    if (lines->terminal) open_editor(lines);
    return lines;
}

void zx_cli_lines_destroy(zx_cli_lines *lines)
{
    if (lines == NULL) return;
    close_editor(lines);
    free(lines);
}

static bool plain_line(const zx_cli_lines *lines, zx_cli_buffer *line)
{
    char *text = NULL;
    size_t capacity = 0;
    if (lines->terminal) (void)fputs(lines->prompt, stderr);
    const ssize_t length = getline(&text, &capacity, stdin);
    const bool got = length > 0 && zx_cli_buffer_append(line, text, (size_t)length);
    free(text);
    return got;
}

static bool read_line(const zx_cli_lines *lines, zx_cli_buffer *line)
{
#ifdef ZX_HAVE_LIBEDIT
    if (lines->terminal && lines->editor != NULL && lines->history != NULL)
        return edit_line(lines, line);
#endif
    return plain_line(lines, line);
}

zx_cli_line zx_cli_lines_next(zx_cli_lines *lines, zx_cli_buffer *line)
{
    line->length = 0;
    if (lines->terminal) zx_cli_catch_interrupt();
    const bool got = read_line(lines, line);
    const bool dropped = lines->terminal && zx_cli_interrupted();
    if (lines->terminal) zx_cli_release_interrupt();
    if (dropped) {
        (void)fputs("\n", stderr);
        clearerr(stdin);
        return ZX_CLI_LINE_NONE;
    }
    if (!got) return ZX_CLI_LINE_END;
    while (line->length > 0 && strchr("\r\n", line->bytes[line->length - 1]) != NULL)
        line->length--;
    line->bytes[line->length] = '\0';
    return ZX_CLI_LINE;
}

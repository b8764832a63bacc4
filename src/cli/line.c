/* line.c - reading lines.  The prompt goes to stderr, so that stdout holds answers alone.
 *
 * At a terminal SIGINT is blocked but for the moments in which we wait for a key: none can come
 * between the look at its flag and the wait, and be seen only when the next line ends. */
#include "cli/line.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>
#include <wchar.h>

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

/* Waits for something to read; false where Ctrl-C comes first. */
static bool wait_for_input(void)
{
    sigset_t open;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &open);
    (void)sigdelset(&open, SIGINT);
    while (!zx_cli_interrupted()) {
        fd_set input;
        FD_ZERO(&input);
        FD_SET(STDIN_FILENO, &input);
        if (pselect(STDIN_FILENO + 1, &input, NULL, NULL, NULL, &open) >= 0) return true;
        if (errno != EINTR) return true; /* reading will tell */
    }
    return false;
}

#ifdef ZX_HAVE_LIBEDIT
enum { HISTORY_LINES = 500 };

/* For the editor: 1 where a character was read, 0 at the end, -1 where Ctrl-C or an error came.
 * What is no character is passed over. */
static int read_character(EditLine *editor, wchar_t *character)
{
    mbstate_t state = {0};
    char byte;
    (void)editor;
    for (;;) {
        if (!wait_for_input()) return -1;
        const ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return (int)got;
        const size_t used = mbrtowc(character, &byte, 1, &state);
        if (used <= 1) return 1;
        if (used == (size_t)-1) state = (mbstate_t){0};
    }
}

/* Text is UTF-8 throughout, whatever the environment says: the editor must take it so too. */
static void choose_locale(void)
{
    (void)setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") == 0) return;
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) (void)setlocale(LC_CTYPE, "en_US.UTF-8");
}

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
    choose_locale();
    lines->history = history_init();
    lines->editor = el_init("zmlx", stdin, stderr, stderr);
    if (lines->editor == NULL || lines->history == NULL) return;
    (void)history(lines->history, &event, H_SETSIZE, HISTORY_LINES);
    (void)el_set(lines->editor, EL_CLIENTDATA, lines);
    (void)el_set(lines->editor, EL_PROMPT, editor_prompt);
    (void)el_set(lines->editor, EL_EDITOR, "emacs");
    (void)el_set(lines->editor, EL_GETCFN, read_character);
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
    (void)el_set(lines->editor, EL_PREP_TERM, 1); /* before the prompt says that we are ready */
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

bool zx_cli_lines_at_terminal(const zx_cli_lines *lines)
{
    return lines->terminal;
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
    if (lines->terminal && !wait_for_input()) return false;
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
    sigset_t interrupt, before;
    (void)sigemptyset(&interrupt);
    (void)sigaddset(&interrupt, SIGINT);
    line->length = 0;
    if (lines->terminal) zx_cli_catch_interrupt();
    if (lines->terminal) (void)pthread_sigmask(SIG_BLOCK, &interrupt, &before);
    const bool got = read_line(lines, line);
    if (lines->terminal) (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (lines->terminal && zx_cli_interrupted()) {
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

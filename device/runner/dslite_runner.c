/* dslite_runner: run one TFLite file on this device and write down how long it takes, or how much memory.
 *
 * The runtime is opened with dlopen, so one program serves any library with the C API of TensorFlow Lite or of LiteRT.
 * The result is one JSON document. It is there from the start, marked as failed, and replaced by rename at every stage:
 * whoever reads it, whenever, however this process ended, reads a whole document that does not say more than is true.
 *
 * SPDX-License-Identifier: Apache-2.0
 */

#define _GNU_SOURCE /* sched_setaffinity */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define VERSION "1.0"
#define SCHEMA 1

#define NS_PER_S UINT64_C(1000000000)
#define PROGRESS_NS (NS_PER_S / 5)

#define MAX_RANK 8
#define MAX_OUTPUTS 16
#define MAX_CORES 64
#define MAX_ZONES 128
#define MAX_ZONE_NUMBER 256

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { COMPLETE = 0, BAD_ARGUMENTS = 2, BAD_RUNTIME, BAD_MODEL, BAD_INPUT, BAD_RUN, BAD_WRITE };
enum { KILLED = 128 + SIGKILL };

/* -- What is known ------------------------------------------------------------------------------------------------- */

enum { TIME_PASS, MEMORY_PASS };
static const char *const PASSES[] = {"time", "memory", NULL};

enum { AUTO_BACKEND, TFLITE_BACKEND, LITERT_BACKEND };
static const char *const BACKENDS[] = {"auto", "tflite", "litert", NULL};

static struct {
    const char *model, *runtime, *result, *input, *outputs, *cpus, *warm_model, *sysfs, *procfs;
    int backend, pass;
    long threads, warmup_runs, runs;
    double warmup_s, min_s, max_s, condition_s;
    bool stop_when_throttled;
} arguments = {
    .sysfs = "/sys", .procfs = "/proc", .threads = 1, .warmup_runs = 1, .runs = 50,
    .warmup_s = 0.5, .min_s = 1, .max_s = 150, .condition_s = 1,
};

struct tensor {
    const struct dtype *dtype;
    size_t rank;
    int32_t shape[MAX_RANK];
    size_t bytes;
};

/* What sysfs tells at one moment; -1 and NAN stand for what it does not. */
struct condition {
    uint64_t at_ns;
    int64_t hz[MAX_CORES], max_hz[MAX_CORES];
    double celsius[MAX_ZONES];
    double battery_celsius;
    long long battery_percent;
    char battery_status[32];
};

static struct {
    const char *volatile stage; /* always a literal: the handler of signals reads it */
    int exit_code;
    char error[512];
    const char *backend, *runtime_version, *delegate;
    cpu_set_t cpus;
    bool cpus_known;
    struct tensor input, output;
    size_t n_inputs;
    uint64_t init_ns, first_ns;
    long warmup_runs;
    uint64_t *samples_ns, *starts_ns;
    size_t n_samples, room_for_samples;
    const char *stopped;
    bool timed;
    uint64_t wall_ns, own_ns;
    int64_t busy_ns;
    bool memory_known, peak_reset;
    long long baseline_bytes, peak_bytes, baseline_anonymous_bytes, anonymous_bytes;
    size_t n_cores, n_zones;
    unsigned zone_numbers[MAX_ZONES];
    char zone_names[MAX_ZONES][64];
    struct condition *conditions;
    size_t n_conditions, room_for_conditions;
} found = {
    .stage = "arguments", .exit_code = KILLED,
    .error = "it did not come to its end: killed (does memory suffice?), or the device went down",
};

/* Raw inputs, back to back; without a file they are made when they are needed. */
static struct {
    unsigned char *bytes;
    size_t size;
} given;

/* -- JSON ---------------------------------------------------------------------------------------------------------- */

/* Length of the UTF-8 sequence at `text`, 0 where it is none. */
static size_t utf8_length(const unsigned char *text) {
    static const struct {
        unsigned char first_low, first_high, second_low, second_high;
        size_t length;
    } forms[] = {
        {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
        {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
        {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    if (text[0] < 0x80)
        return 1;
    for (size_t i = 0; i < LENGTH(forms); i++) {
        if (text[0] < forms[i].first_low || text[0] > forms[i].first_high)
            continue;
        if (text[1] < forms[i].second_low || text[1] > forms[i].second_high)
            return 0;
        for (size_t k = 2; k < forms[i].length; k++)
            if ((text[k] & 0xC0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

static void put_text(FILE *file, const char *text) {
    if (!text) {
        fputs("null", file);
        return;
    }
    fputc('"', file);
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        size_t length = utf8_length(at);
        if (length == 0)
            fputs("\\ufffd", file);
        else if (*at == '"' || *at == '\\')
            fprintf(file, "\\%c", *at);
        else if (*at < 0x20 || *at == 0x7F)
            fprintf(file, "\\u%04x", *at);
        else
            fwrite(at, 1, length, file);
        at += length ? length : 1;
    }
    fputc('"', file);
}

static void put_field(FILE *file, const char *name, const char *text) {
    fprintf(file, ",\n \"%s\": ", name);
    put_text(file, text);
}

static void put_times(FILE *file, const char *name, const uint64_t *values, size_t n) {
    fprintf(file, ",\n \"%s\": [", name);
    for (size_t i = 0; i < n; i++)
        fprintf(file, "%s%llu", i ? ", " : "", (unsigned long long)values[i]);
    fputc(']', file);
}

static void put_unless_negative(FILE *file, int64_t value) {
    if (value < 0)
        fputs("null", file);
    else
        fprintf(file, "%lld", (long long)value);
}

/* -- Files --------------------------------------------------------------------------------------------------------- */

static char result_part[PATH_MAX]; /* empty: the result is no regular file and is written to as it is */

/* A file that appears under its name only when it is whole. */
struct sink {
    FILE *file;
    const char *path;
    char part[PATH_MAX];
};

/* What a failure takes away; the handler of signals reads it. */
static const char *volatile unfinished;

/* Where `path` is written until it is whole. A device or a pipe has no such place: rename would replace it. */
static bool name_part(const char *path, char part[static PATH_MAX]) {
    struct stat status;
    part[0] = '\0';
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
        return true;
    int length = snprintf(part, PATH_MAX, "%s.part", path);
    if (length > 0 && length < PATH_MAX)
        return true;
    errno = ENAMETOOLONG;
    return false;
}

static bool open_sink(struct sink *sink, const char *path) {
    sink->path = path;
    if (!name_part(path, sink->part))
        return false;
    sink->file = fopen(sink->part[0] ? sink->part : path, "wbe");
    return sink->file != NULL;
}

static bool close_sink(struct sink *sink) {
    bool whole = !ferror(sink->file);
    whole = fclose(sink->file) == 0 && whole;
    whole = whole && (!sink->part[0] || rename(sink->part, sink->path) == 0);
    int problem = errno;
    if (!whole && sink->part[0])
        unlink(sink->part);
    errno = problem;
    return whole;
}

/* Read a small file whose name is given by a format; without the white space at its end. Allocates nothing, since it is
 * called while memory is measured. */
__attribute__((format(printf, 3, 4))) static bool read_text(char *text, size_t room, const char *format, ...) {
    char path[PATH_MAX];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(path, sizeof path, format, values);
    va_end(values);
    if (length < 0 || (size_t)length >= sizeof path)
        return false;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return false;
    size_t n = 0;
    ssize_t got = 0;
    while (n < room - 1 && (got = read(descriptor, text + n, room - 1 - n)) > 0)
        n += (size_t)got;
    close(descriptor);
    while (n > 0 && strchr(" \t\r\n", text[n - 1]))
        n--;
    text[n] = '\0';
    return got >= 0;
}

static bool to_number(const char *text, long long *number) {
    char *end;
    errno = 0;
    *number = strtoll(text, &end, 10);
    return end != text && *end == '\0' && errno == 0;
}

/* -- The document -------------------------------------------------------------------------------------------------- */

struct dtype {
    int code; /* the same in both APIs */
    const char *name;
    size_t bytes;
};

static const struct dtype DTYPES[] = {
    {1, "float32", 4}, {2, "int32", 4},    {3, "uint8", 1},    {4, "int64", 8},   {6, "bool", 1},
    {7, "int16", 2},   {9, "int8", 1},     {10, "float16", 2}, {11, "float64", 8}, {13, "uint64", 8},
    {16, "uint32", 4}, {17, "uint16", 2},
};

static void put_tensor(FILE *file, const char *name, const struct tensor *tensor) {
    fprintf(file, ",\n \"%s\": {\"dtype\": \"%s\", \"shape\": [", name, tensor->dtype->name);
    for (size_t i = 0; i < tensor->rank; i++)
        fprintf(file, "%s%d", i ? ", " : "", (int)tensor->shape[i]);
    fprintf(file, "], \"bytes\": %zu", tensor->bytes);
}

static void put_tensors(FILE *file) {
    if (!found.input.dtype)
        return;
    put_tensor(file, "input", &found.input);
    if (found.n_inputs)
        fprintf(file, ", \"count\": %zu", found.n_inputs);
    fprintf(file, ", \"source\": \"%s\"}", arguments.input ? "file" : "synthetic");
    put_tensor(file, "output", &found.output);
    fputs("}", file);
    put_field(file, "delegate", found.delegate);
}

static void put_cpus(FILE *file) {
    if (!found.cpus_known)
        return;
    fprintf(file, ",\n \"threads\": %ld,\n \"cpus\": [", arguments.threads);
    const char *separator = "";
    for (size_t i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &found.cpus))
            continue;
        fprintf(file, "%s%zu", separator, i);
        separator = ", ";
    }
    fputs("]", file);
}

static void put_frequencies(FILE *file, const char *name, const int64_t *hz) {
    fprintf(file, ", \"%s\": [", name);
    for (size_t i = 0; i < found.n_cores; i++) {
        fputs(i ? ", " : "", file);
        put_unless_negative(file, hz[i]);
    }
    fputs("]", file);
}

static void put_temperatures(FILE *file, const struct condition *condition) {
    const char *separator = "";
    fputs(", \"temperatures\": [", file);
    for (size_t i = 0; i < found.n_zones; i++) {
        if (isnan(condition->celsius[i]))
            continue;
        fprintf(file, "%s{\"zone\": ", separator);
        put_text(file, found.zone_names[i]);
        fprintf(file, ", \"celsius\": %.3f}", condition->celsius[i]);
        separator = ", ";
    }
    fputs("]", file);
}

static void put_battery(FILE *file, const struct condition *condition) {
    const char *status = condition->battery_status[0] ? condition->battery_status : NULL;
    fputs(", \"battery\": ", file);
    if (isnan(condition->battery_celsius) && condition->battery_percent < 0 && !status) {
        fputs("null", file);
        return;
    }
    fputs("{\"celsius\": ", file);
    if (isnan(condition->battery_celsius))
        fputs("null", file);
    else
        fprintf(file, "%.1f", condition->battery_celsius);
    fputs(", \"level_percent\": ", file);
    put_unless_negative(file, condition->battery_percent);
    fputs(", \"status\": ", file);
    put_text(file, status);
    fputs("}", file);
}

static void put_conditions(FILE *file) {
    fputs(",\n \"conditions\": [", file);
    for (size_t i = 0; i < found.n_conditions; i++) {
        const struct condition *condition = &found.conditions[i];
        fprintf(file, "%s\n  {\"at_ns\": %llu", i ? "," : "", (unsigned long long)condition->at_ns);
        put_frequencies(file, "cpu_hz", condition->hz);
        put_frequencies(file, "cpu_max_hz", condition->max_hz);
        put_temperatures(file, condition);
        put_battery(file, condition);
        fputs("}", file);
    }
    fputs("]", file);
}

static void put_times_measured(FILE *file) {
    if (!found.timed)
        return;
    fprintf(file, ",\n \"init_ns\": %llu,\n \"first_ns\": %llu,\n \"warmup_runs\": %ld",
            (unsigned long long)found.init_ns, (unsigned long long)found.first_ns, found.warmup_runs);
    put_times(file, "samples_ns", found.samples_ns, found.n_samples);
    put_times(file, "starts_ns", found.starts_ns, found.n_samples);
    put_field(file, "stopped", found.stopped);
    fprintf(file, ",\n \"cpu\": {\"wall_ns\": %llu, \"own_ns\": %llu, \"busy_ns\": ",
            (unsigned long long)found.wall_ns, (unsigned long long)found.own_ns);
    put_unless_negative(file, found.busy_ns);
    fputs("}", file);
}

static void put_memory_measured(FILE *file) {
    if (!found.memory_known)
        return;
    fprintf(file, ",\n \"memory\": {\"baseline_bytes\": %lld, \"peak_bytes\": %lld, \"baseline_anonymous_bytes\": ",
            found.baseline_bytes, found.peak_bytes);
    put_unless_negative(file, found.baseline_anonymous_bytes);
    fputs(", \"anonymous_bytes\": ", file);
    put_unless_negative(file, found.anonymous_bytes);
    fprintf(file, ", \"peak_reset\": %s}", found.peak_reset ? "true" : "false");
}

static void put_document(FILE *file) {
    bool complete = found.exit_code == COMPLETE;
    fprintf(file, "{\"schema\": %d,\n \"runner\": \"%s\",\n \"status\": \"%s\",\n \"exit_code\": %d", SCHEMA, VERSION,
            complete ? "complete" : "failed", found.exit_code);
    put_field(file, "stage", found.stage);
    put_field(file, "error", complete ? NULL : found.error);
    if (found.exit_code != BAD_ARGUMENTS)
        put_field(file, "pass", PASSES[arguments.pass]);
    if (found.backend) {
        put_field(file, "backend", found.backend);
        put_field(file, "runtime_version", found.runtime_version);
    }
    put_cpus(file);
    put_tensors(file);
    /* Where the whole did not fit, storage may still have room for its beginning. */
    if (found.exit_code != BAD_WRITE) {
        put_times_measured(file);
        put_memory_measured(file);
        put_conditions(file);
    }
    fputs("}\n", file);
}

static atomic_flag result_taken = ATOMIC_FLAG_INIT; /* by whoever writes the result */

static bool write_document(void) {
    struct sink sink;
    while (atomic_flag_test_and_set(&result_taken))
        pause(); /* a handler on another thread has it, and is about to end this process */
    bool whole = open_sink(&sink, arguments.result);
    if (whole) {
        put_document(sink.file);
        whole = close_sink(&sink);
    }
    int problem = errno;
    if (!whole || found.exit_code != COMPLETE)
        atomic_flag_clear(&result_taken); /* a complete one is the last: no signal may replace it */
    errno = problem;
    return whole;
}

/* -- Endings ------------------------------------------------------------------------------------------------------- */

/* Without the runtime's destructors: one that crashes there would turn a good result into a bad exit code. */
static _Noreturn void leave(int code) {
    fflush(NULL);
#ifdef DSLITE_SANITIZE
    exit(code); /* the leak checker runs there */
#else
    _exit(code);
#endif
}

__attribute__((format(printf, 2, 3))) static _Noreturn void fail(int code, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(found.error, sizeof found.error, format, values);
    va_end(values);
    found.exit_code = code;
    fprintf(stderr, "dslite_runner: %s\n", found.error);
    if (unfinished)
        unlink(unfinished);
    if (arguments.result && !write_document() && code != BAD_WRITE)
        fprintf(stderr, "dslite_runner: %s: cannot be written: %s\n", arguments.result, strerror(errno));
    leave(code);
}

/* From here on a failure is this stage's. */
static void enter(const char *stage) {
    found.stage = stage;
    if (!write_document()) {
        found.stage = "write";
        fail(BAD_WRITE, "%s: expected a place for the result: %s", arguments.result, strerror(errno));
    }
}

static _Noreturn void complete(void) {
    found.stage = "done";
    found.exit_code = COMPLETE;
    if (!write_document()) {
        found.stage = "write";
        fail(BAD_WRITE, "%s: the result cannot be written: %s", arguments.result, strerror(errno));
    }
    leave(COMPLETE);
}

static const struct {
    int number;
    bool crash;
    const char *name;
} SIGNALS[] = {
    {SIGSEGV, true, "SIGSEGV"},  {SIGBUS, true, "SIGBUS"},   {SIGABRT, true, "SIGABRT"}, {SIGFPE, true, "SIGFPE"},
    {SIGILL, true, "SIGILL"},    {SIGTERM, false, "SIGTERM"}, {SIGHUP, false, "SIGHUP"}, {SIGINT, false, "SIGINT"},
    {SIGPIPE, false, "SIGPIPE"}, /* nobody listens any more: stop heating the device */
};

/* Like strlcat, which not all C libraries have; async-signal-safe. */
static void append(char *text, size_t room, const char *more) {
    size_t n = strlen(text);
    while (n + 1 < room && *more)
        text[n++] = *more++;
    text[n] = '\0';
}

static void last_words(char *text, size_t room, int number) {
    size_t i = 0;
    while (i + 1 < LENGTH(SIGNALS) && SIGNALS[i].number != number)
        i++;
    char code[] = {(char)('0' + (128 + number) / 100), (char)('0' + (128 + number) / 10 % 10),
                   (char)('0' + (128 + number) % 10), '\0'};
    text[0] = '\0';
    append(text, room, "{\"schema\": 1,\n \"runner\": \"" VERSION "\",\n \"status\": \"failed\",\n \"exit_code\": ");
    append(text, room, code);
    append(text, room, ",\n \"stage\": \"");
    append(text, room, found.stage);
    append(text, room, "\",\n \"error\": \"");
    append(text, room, SIGNALS[i].crash ? "it crashed with " : "interrupted by ");
    append(text, room, SIGNALS[i].name);
    append(text, room, !SIGNALS[i].crash ? "" : strcmp(found.stage, "runtime") == 0
                           ? ": the library is probably of another version, or for another system"
                           : ": the model is probably truncated or broken");
    append(text, room, "\"}\n");
}

/* Only what is async-signal-safe. */
static void on_signal(int number) {
    char text[512];
    if (!atomic_flag_test_and_set(&result_taken)) {
        last_words(text, sizeof text, number);
        int descriptor = open(result_part[0] ? result_part : arguments.result, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        size_t length = strlen(text);
        bool whole = descriptor >= 0 && write(descriptor, text, length) == (ssize_t)length && close(descriptor) == 0;
        if (whole && result_part[0])
            rename(result_part, arguments.result);
        if (unfinished)
            unlink(unfinished);
    } else if (result_part[0]) {
        unlink(result_part); /* it was being written; what stands under its name is whole, and says that it failed */
    }
    raise(number); /* SA_RESETHAND has put the default action back */
}

static void catch_signals(void) {
    /* A stack of its own, since a broken model may make the runtime recurse without end. */
    static char room[64 * 1024];
    stack_t stack = {.ss_sp = room, .ss_size = sizeof room};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)(SA_RESETHAND | SA_NODEFER | SA_ONSTACK)};
    sigemptyset(&action.sa_mask);
    sigaltstack(&stack, NULL);
    for (size_t i = 0; i < LENGTH(SIGNALS); i++)
        sigaction(SIGNALS[i].number, &action, NULL);
}

/* -- Arguments ----------------------------------------------------------------------------------------------------- */

enum kind { TEXT, CHOICE, WHOLE, SECONDS, SWITCH };

static const struct option {
    const char *name;
    enum kind kind;
    void *value;
    double low, high; /* of WHOLE and SECONDS */
    const char *const *choices;
    const char *help;
} OPTIONS[] = {
    {"model", TEXT, &arguments.model, 0, 0, NULL, "FILE.tflite; required"},
    {"runtime", TEXT, &arguments.runtime, 0, 0, NULL, "LIB.so with TensorFlow Lite's C API or LiteRT's; required"},
    {"result", TEXT, &arguments.result, 0, 0, NULL, "FILE.json; required"},
    {"backend", CHOICE, &arguments.backend, 0, 0, BACKENDS, "auto|tflite|litert (auto: by what LIB.so has)"},
    {"pass", CHOICE, &arguments.pass, 0, 0, PASSES, "time|memory (time)"},
    {"threads", WHOLE, &arguments.threads, 1, 1024, NULL, "N (1)"},
    {"warmup-runs", WHOLE, &arguments.warmup_runs, 0, 1e6, NULL, "at least N (1)"},
    {"warmup-seconds", SECONDS, &arguments.warmup_s, 0, 86400, NULL, "at least S (0.5)"},
    {"runs", WHOLE, &arguments.runs, 1, 1e9, NULL, "time at least N (50)"},
    {"min-seconds", SECONDS, &arguments.min_s, 0, 86400, NULL, "time at least S (1)"},
    {"max-seconds", SECONDS, &arguments.max_s, 0, 86400, NULL, "time at most S (150)"},
    {"input", TEXT, &arguments.input, 0, 0, NULL, "FILE of raw inputs, back to back (made up from a fixed seed)"},
    {"outputs", TEXT, &arguments.outputs, 0, 0, NULL, "FILE for the raw output of every input; time pass (none)"},
    {"cpus", TEXT, &arguments.cpus, 0, 0, NULL, "cores to run on, such as 4-7,2 (as it is started)"},
    {"warm-model", TEXT, &arguments.warm_model, 0, 0, NULL, "FILE.tflite that is run once first (none)"},
    {"sysfs", TEXT, &arguments.sysfs, 0, 0, NULL, "FOLDER for conditions (/sys)"},
    {"procfs", TEXT, &arguments.procfs, 0, 0, NULL, "FOLDER with the file stat (/proc)"},
    {"condition-seconds", SECONDS, &arguments.condition_s, 0.001, 86400, NULL, "look at conditions every S (1)"},
    {"stop-when-throttled", SWITCH, &arguments.stop_when_throttled, 0, 0, NULL, "end when a core is slowed down"},
};

static _Noreturn void help(void) {
    puts("usage: dslite_runner --name=value ...\n\nRuns a TFLite file and writes down what it measured as JSON.\n");
    for (size_t i = 0; i < LENGTH(OPTIONS); i++)
        printf("  --%-20s %s\n", OPTIONS[i].name, OPTIONS[i].help);
    puts("  --help, --version\n\nExit codes: 0 complete, 2 arguments, 3 runtime library, 4 model, 5 input, 6 run,\n"
         "7 result or outputs not written; of a signal: as the system gives it.");
    leave(COMPLETE);
}

static bool choose(const char *text, const char *const *choices, int *chosen) {
    for (int i = 0; choices[i]; i++) {
        if (strcmp(text, choices[i]) == 0) {
            *chosen = i;
            return true;
        }
    }
    return false;
}

static bool to_range(const struct option *option, const char *text, double *number) {
    const char *allowed = option->kind == WHOLE ? "0123456789" : "0123456789.eE+-"; /* no inf, nan, hexadecimal */
    char *end;
    if (!*text || text[strspn(text, allowed)])
        return false;
    *number = strtod(text, &end);
    return !*end && *number >= option->low && *number <= option->high;
}

/* Set one argument; false where its value does not fit. `value` is NULL without an equals sign. */
static bool set_argument(const struct option *option, const char *value) {
    double number = 0;
    if ((option->kind == SWITCH) != !value || (value && !*value))
        return false;
    if (option->kind == SWITCH)
        *(bool *)option->value = true;
    if (option->kind == TEXT)
        *(const char **)option->value = value;
    if (option->kind == SWITCH || option->kind == TEXT)
        return true;
    if (option->kind == CHOICE)
        return choose(value, option->choices, option->value);
    if (!to_range(option, value, &number))
        return false;
    if (option->kind == WHOLE)
        *(long *)option->value = (long)number;
    else
        *(double *)option->value = number;
    return true;
}

static const struct option *find_option(const char *word, const char **value) {
    if (strncmp(word, "--", 2) != 0)
        return NULL;
    size_t length = strcspn(word + 2, "=");
    *value = word[2 + length] ? word + 2 + length + 1 : NULL;
    for (size_t i = 0; i < LENGTH(OPTIONS); i++)
        if (strlen(OPTIONS[i].name) == length && strncmp(OPTIONS[i].name, word + 2, length) == 0)
            return &OPTIONS[i];
    return NULL;
}

/* Read one word; say in `problem` what is wrong with it. */
static void read_word(const char *word, bool seen[static LENGTH(OPTIONS)], char *problem, size_t room) {
    const char *value = NULL;
    const struct option *option = find_option(word, &value);
    if (strcmp(word, "--help") == 0)
        help();
    if (strcmp(word, "--version") == 0) {
        puts("dslite_runner " VERSION);
        leave(COMPLETE);
    }
    if (!option) {
        snprintf(problem, room, "%.100s: expected --name=value with a name of --help", word);
    } else if (seen[option - OPTIONS]) {
        snprintf(problem, room, "--%s: expected once, got it twice", option->name);
    } else if (seen[option - OPTIONS] = true, !set_argument(option, value)) {
        snprintf(problem, room, "%.100s: expected --%s%s%s", word, option->name,
                 option->kind == SWITCH ? " alone, to " : "=", option->help);
        if (option->high > 0) {
            size_t n = strlen(problem);
            snprintf(problem + n, room - n, ", %g to %g", option->low, option->high);
        }
    }
}

/* All words are read, so that a fault in one still finds its way into the result that another names. */
static void read_arguments(int n, char **words) {
    bool seen[LENGTH(OPTIONS)] = {false};
    char problem[400] = "", later[400];
    for (int i = 1; i < n; i++)
        read_word(words[i], seen, problem[0] ? later : problem, sizeof problem);
    for (size_t i = 0; i < LENGTH(OPTIONS) && !problem[0]; i++)
        if (strstr(OPTIONS[i].help, "required") && !seen[i])
            snprintf(problem, sizeof problem, "expected --%s=%s", OPTIONS[i].name, OPTIONS[i].help);
    if (!problem[0] && arguments.outputs && arguments.pass == MEMORY_PASS)
        snprintf(problem, sizeof problem, "--outputs: expected with --pass=time only");
    if (arguments.result && !name_part(arguments.result, result_part))
        snprintf(problem, sizeof problem, "--result: the path is too long");
    if (problem[0])
        fail(BAD_ARGUMENTS, "%s", problem);
}

/* One number of a list of cores; moves `at` behind it. */
static bool read_core(const char **at, unsigned *core) {
    unsigned value = 0;
    const char *start = *at;
    while (**at >= '0' && **at <= '9' && value < CPU_SETSIZE)
        value = value * 10 + (unsigned)(*(*at)++ - '0');
    *core = value;
    return *at != start && value < CPU_SETSIZE;
}

static bool read_cores(const char *at, cpu_set_t *cores) {
    CPU_ZERO(cores);
    for (;;) {
        unsigned first, last;
        if (!read_core(&at, &first))
            return false;
        last = first;
        if (*at == '-' && (at++, !read_core(&at, &last) || last < first))
            return false;
        for (unsigned i = first; i <= last; i++)
            CPU_SET(i, cores);
        if (!*at)
            return true;
        if (*at++ != ',')
            return false;
    }
}

/* Before the runtime is loaded, so that its threads inherit it. */
static void pin(void) {
    cpu_set_t wanted;
    if (arguments.cpus) {
        if (!read_cores(arguments.cpus, &wanted))
            fail(BAD_ARGUMENTS, "--cpus=%.100s: expected cores such as 4-7,2", arguments.cpus);
        if (sched_setaffinity(0, sizeof wanted, &wanted) != 0)
            fail(BAD_ARGUMENTS, "--cpus=%.100s: expected cores that are there and online: %s", arguments.cpus,
                 strerror(errno));
    }
    found.cpus_known = sched_getaffinity(0, sizeof found.cpus, &found.cpus) == 0;
}

/* -- Tensors ------------------------------------------------------------------------------------------------------- */

enum { INPUT, OUTPUT };

/* A model that is open, in either runtime. */
struct session {
    struct tensor input, output; /* the first output; others are computed and not looked at */
    const char *delegate;
    void *model, *engine, *options, *xnnpack;
    void *buffers[1 + MAX_OUTPUTS]; /* LiteRT: the input's, then the outputs' */
    size_t n_outputs;
    char problem[200];
};

struct backend {
    const char *name;
    bool (*load)(void *library, const char **lacks);
    const char *(*version)(void);
    bool (*open)(struct session *, const char *path, int threads);
    void *(*map)(struct session *, int which); /* the bytes of a tensor; NULL: failed */
    bool (*unmap)(struct session *, int which);
    bool (*invoke)(struct session *);
    void (*close)(struct session *);
};

__attribute__((format(printf, 2, 3))) static bool refuse(struct session *session, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(session->problem, sizeof session->problem, format, values);
    va_end(values);
    return false;
}

static const struct dtype *find_dtype(int code) {
    for (size_t i = 0; i < LENGTH(DTYPES); i++)
        if (DTYPES[i].code == code)
            return &DTYPES[i];
    return NULL;
}

/* Fill in the size of a tensor whose shape is there; refuse what has none that is fixed. */
static bool size_tensor(struct session *session, struct tensor *tensor, const char *name, int code) {
    tensor->dtype = find_dtype(code);
    if (!tensor->dtype)
        return refuse(session, "expected an %s of numbers, got data type %d of TFLite", name, code);
    tensor->bytes = tensor->dtype->bytes;
    for (size_t i = 0; i < tensor->rank; i++) {
        if (tensor->shape[i] <= 0)
            return refuse(session, "expected an %s of fixed shape, got %d in dimension %zu", name,
                          (int)tensor->shape[i], i);
        if (__builtin_mul_overflow(tensor->bytes, (size_t)tensor->shape[i], &tensor->bytes))
            return refuse(session, "the %s is larger than memory", name);
    }
    return true;
}

/* Functions of a library, by name. */
struct symbol {
    const char *name;
    size_t offset;
    bool optional;
};

static bool resolve(void *library, const struct symbol *symbols, size_t n, void *functions, const char **lacks) {
    for (size_t i = 0; i < n; i++) {
        void *address = dlsym(library, symbols[i].name);
        /* ISO C has no conversion from void * to a pointer to a function; POSIX has them alike. */
        memcpy((char *)functions + symbols[i].offset, &address, sizeof address);
        if (!address && !symbols[i].optional) {
            *lacks = symbols[i].name;
            return false;
        }
    }
    return true;
}

/* -- TensorFlow Lite C API: tensorflow/lite/c/c_api.h, delegates/xnnpack/xnnpack_delegate.h ------------------------ */

/* Given back by value, and longer in every version: room for what is to come, of which only the first field, the number
 * of threads, is touched. */
struct xnnpack_options {
    int32_t threads;
    unsigned char others[508];
};

#define TFLITE(SYMBOL, OPTIONAL)                                                                   \
    SYMBOL(const char *, TfLiteVersion, (void))                                                    \
    SYMBOL(void *, TfLiteModelCreateFromFile, (const char *))                                      \
    SYMBOL(void, TfLiteModelDelete, (void *))                                                      \
    SYMBOL(void *, TfLiteInterpreterOptionsCreate, (void))                                         \
    SYMBOL(void, TfLiteInterpreterOptionsDelete, (void *))                                         \
    SYMBOL(void, TfLiteInterpreterOptionsSetNumThreads, (void *, int32_t))                         \
    SYMBOL(void *, TfLiteInterpreterCreate, (const void *model, const void *options))              \
    SYMBOL(void, TfLiteInterpreterDelete, (void *))                                                \
    SYMBOL(int, TfLiteInterpreterAllocateTensors, (void *))                                        \
    SYMBOL(int, TfLiteInterpreterInvoke, (void *))                                                 \
    SYMBOL(int32_t, TfLiteInterpreterGetInputTensorCount, (const void *))                          \
    SYMBOL(int32_t, TfLiteInterpreterGetOutputTensorCount, (const void *))                         \
    SYMBOL(void *, TfLiteInterpreterGetInputTensor, (const void *, int32_t))                       \
    SYMBOL(const void *, TfLiteInterpreterGetOutputTensor, (const void *, int32_t))                \
    SYMBOL(int, TfLiteTensorType, (const void *))                                                  \
    SYMBOL(int32_t, TfLiteTensorNumDims, (const void *))                                           \
    SYMBOL(int32_t, TfLiteTensorDim, (const void *, int32_t))                                      \
    SYMBOL(size_t, TfLiteTensorByteSize, (const void *))                                           \
    SYMBOL(void *, TfLiteTensorData, (const void *))                                               \
    OPTIONAL(int, TfLiteOpaqueTensorGetNumDimsSignature, (const void *, int32_t *))                \
    OPTIONAL(int, TfLiteOpaqueTensorGetDimSignature, (const void *, int32_t, int32_t *))           \
    OPTIONAL(void, TfLiteInterpreterOptionsAddDelegate, (void *options, void *delegate))           \
    OPTIONAL(struct xnnpack_options, TfLiteXNNPackDelegateOptionsDefault, (void))                  \
    OPTIONAL(void *, TfLiteXNNPackDelegateCreate, (const struct xnnpack_options *))                \
    OPTIONAL(void, TfLiteXNNPackDelegateDelete, (void *))

#define FUNCTION(result, name, parameters) result(*name) parameters;
static struct {
    TFLITE(FUNCTION, FUNCTION)
} tflite;

#define NEEDED(result, name, parameters) {#name, offsetof(__typeof__(tflite), name), false},
#define WELCOME(result, name, parameters) {#name, offsetof(__typeof__(tflite), name), true},
static const struct symbol TFLITE_SYMBOLS[] = {TFLITE(NEEDED, WELCOME)};
#undef NEEDED
#undef WELCOME

static bool tflite_load(void *library, const char **lacks) {
    return resolve(library, TFLITE_SYMBOLS, LENGTH(TFLITE_SYMBOLS), &tflite, lacks);
}

static const char *tflite_version(void) {
    return tflite.TfLiteVersion();
}

/* Before 2.10 the options were small enough to be given back in registers, not as `xnnpack_options` is. */
static bool tflite_has_xnnpack(void) {
    const char *version = tflite.TfLiteVersion();
    char *end = NULL;
    if (!tflite.TfLiteInterpreterOptionsAddDelegate || !tflite.TfLiteXNNPackDelegateOptionsDefault ||
        !tflite.TfLiteXNNPackDelegateCreate || !tflite.TfLiteXNNPackDelegateDelete)
        return false;
    long major = version ? strtol(version, &end, 10) : 0;
    return major > 2 || (major == 2 && *end == '.' && strtol(end + 1, NULL, 10) >= 10);
}

/* A dimension, -1 where it is not fixed; a batch of any size is 1, as the runtime has it. */
static int32_t tflite_dimension(const void *handle, int32_t i) {
    int32_t rank = 0, length = 0;
    if (i > 0 && tflite.TfLiteOpaqueTensorGetNumDimsSignature && tflite.TfLiteOpaqueTensorGetDimSignature &&
        tflite.TfLiteOpaqueTensorGetNumDimsSignature(handle, &rank) == 0 && i < rank &&
        tflite.TfLiteOpaqueTensorGetDimSignature(handle, i, &length) == 0 && length == -1)
        return -1;
    return tflite.TfLiteTensorDim(handle, i);
}

static bool tflite_describe(struct session *session, struct tensor *tensor, const char *name, const void *handle) {
    if (!handle)
        return refuse(session, "the runtime gives no %s", name);
    int32_t rank = tflite.TfLiteTensorNumDims(handle);
    if (rank < 0 || rank > MAX_RANK)
        return refuse(session, "expected an %s of at most %d dimensions, got %d", name, MAX_RANK, (int)rank);
    tensor->rank = (size_t)rank;
    for (int32_t i = 0; i < rank; i++)
        tensor->shape[i] = tflite_dimension(handle, i);
    if (!size_tensor(session, tensor, name, tflite.TfLiteTensorType(handle)))
        return false;
    if (tflite.TfLiteTensorByteSize(handle) != tensor->bytes)
        return refuse(session, "expected an %s of %zu bytes, the runtime has %zu", name, tensor->bytes,
                      tflite.TfLiteTensorByteSize(handle));
    return true;
}

static bool tflite_add_xnnpack(struct session *session, int threads) {
    struct xnnpack_options options = tflite.TfLiteXNNPackDelegateOptionsDefault();
    options.threads = threads;
    session->xnnpack = tflite.TfLiteXNNPackDelegateCreate(&options);
    if (!session->xnnpack)
        return refuse(session, "the runtime's XNNPACK does not start");
    tflite.TfLiteInterpreterOptionsAddDelegate(session->options, session->xnnpack);
    session->delegate = "XNNPACK";
    return true;
}

static bool tflite_open(struct session *session, const char *path, int threads) {
    session->model = tflite.TfLiteModelCreateFromFile(path);
    if (!session->model)
        return refuse(session, "the runtime refuses it: broken, or of a newer version");
    session->options = tflite.TfLiteInterpreterOptionsCreate();
    tflite.TfLiteInterpreterOptionsSetNumThreads(session->options, threads);
    if (tflite_has_xnnpack() && !tflite_add_xnnpack(session, threads))
        return false;
    session->engine = tflite.TfLiteInterpreterCreate(session->model, session->options);
    if (!session->engine || tflite.TfLiteInterpreterAllocateTensors(session->engine) != 0)
        return refuse(session, "the runtime cannot prepare it: broken, or with an operator that it does not have");
    int32_t inputs = tflite.TfLiteInterpreterGetInputTensorCount(session->engine);
    int32_t outputs = tflite.TfLiteInterpreterGetOutputTensorCount(session->engine);
    if (inputs != 1 || outputs < 1)
        return refuse(session, "expected 1 input and an output, got %d and %d", (int)inputs, (int)outputs);
    return tflite_describe(session, &session->input, "input",
                           tflite.TfLiteInterpreterGetInputTensor(session->engine, 0)) &&
           tflite_describe(session, &session->output, "output",
                           tflite.TfLiteInterpreterGetOutputTensor(session->engine, 0));
}

static void *tflite_map(struct session *session, int which) {
    if (which == INPUT)
        return tflite.TfLiteTensorData(tflite.TfLiteInterpreterGetInputTensor(session->engine, 0));
    /* An operator may have given its output another shape while it ran. */
    const void *output = tflite.TfLiteInterpreterGetOutputTensor(session->engine, 0);
    return tflite.TfLiteTensorByteSize(output) == session->output.bytes ? tflite.TfLiteTensorData(output) : NULL;
}

static bool tflite_unmap(struct session *session, int which) {
    (void)session, (void)which;
    return true;
}

static bool tflite_invoke(struct session *session) {
    return tflite.TfLiteInterpreterInvoke(session->engine) == 0;
}

static void tflite_close(struct session *session) {
    if (session->engine)
        tflite.TfLiteInterpreterDelete(session->engine);
    if (session->xnnpack)
        tflite.TfLiteXNNPackDelegateDelete(session->xnnpack); /* the interpreter used it: after that */
    if (session->options)
        tflite.TfLiteInterpreterOptionsDelete(session->options);
    if (session->model)
        tflite.TfLiteModelDelete(session->model);
}

static const struct backend TFLITE_API = {
    "tflite", tflite_load, tflite_version, tflite_open, tflite_map, tflite_unmap, tflite_invoke, tflite_close,
};

/* -- LiteRT C API: litert/c/litert_*.h, of 2.1.6 and later --------------------------------------------------------- */

enum { LITERT_CPU = 1, LITERT_READ = 0, LITERT_WRITE = 1 };

struct litert_tensor_type {
    int32_t dtype;
    uint32_t rank : 7, has_strides : 1;
    int32_t shape[MAX_RANK];
    uint32_t strides[MAX_RANK];
};
_Static_assert(sizeof(struct litert_tensor_type) == 72, "the library's own check of LiteRtRankedTensorType");

/* Functions give a status, 0 for success; objects are pointers, as arguments of the type void *. */
#define LITERT(SYMBOL)                                                                                                 \
    SYMBOL(int, LiteRtCreateEnvironment, (int n_options, const void *options, void **environment))                     \
    SYMBOL(int, LiteRtCreateModelFromFile, (void *environment, const char *path, void **model))                        \
    SYMBOL(void, LiteRtDestroyModel, (void *))                                                                         \
    SYMBOL(int, LiteRtGetModelSignature, (void *model, size_t index, void **signature))                                \
    SYMBOL(int, LiteRtGetNumSignatureInputs, (void *signature, size_t *n))                                             \
    SYMBOL(int, LiteRtGetNumSignatureOutputs, (void *signature, size_t *n))                                            \
    SYMBOL(int, LiteRtGetSignatureInputTensorByIndex, (void *signature, size_t index, void **tensor))                  \
    SYMBOL(int, LiteRtGetSignatureOutputTensorByIndex, (void *signature, size_t index, void **tensor))                 \
    SYMBOL(int, LiteRtGetRankedTensorType, (void *tensor, struct litert_tensor_type *))                                \
    SYMBOL(int, LiteRtCreateOptions, (void **options))                                                                 \
    SYMBOL(void, LiteRtDestroyOptions, (void *))                                                                       \
    SYMBOL(int, LiteRtSetOptionsHardwareAccelerators, (void *options, int accelerators))                               \
    SYMBOL(int, LiteRtCreateOpaqueOptions,                                                                             \
           (const char *name, void *payload, void (*destroy)(void *payload), void **opaque))                           \
    SYMBOL(int, LiteRtAddOpaqueOptions, (void *options, void *opaque))                                                 \
    SYMBOL(int, LiteRtCreateCompiledModel, (void *environment, void *model, void *options, void **compiled))           \
    SYMBOL(void, LiteRtDestroyCompiledModel, (void *))                                                                 \
    SYMBOL(int, LiteRtGetCompiledModelInputBufferRequirements,                                                         \
           (void *compiled, size_t signature, size_t index, void **requirements))                                      \
    SYMBOL(int, LiteRtGetCompiledModelOutputBufferRequirements,                                                        \
           (void *compiled, size_t signature, size_t index, void **requirements))                                      \
    SYMBOL(int, LiteRtCreateManagedTensorBufferFromRequirements,                                                       \
           (void *environment, const struct litert_tensor_type *, void *requirements, void **buffer))                  \
    SYMBOL(void, LiteRtDestroyTensorBuffer, (void *))                                                                  \
    SYMBOL(int, LiteRtGetTensorBufferPackedSize, (void *buffer, size_t *bytes))                                        \
    SYMBOL(int, LiteRtLockTensorBuffer, (void *buffer, void **address, int mode))                                      \
    SYMBOL(int, LiteRtUnlockTensorBuffer, (void *buffer))                                                              \
    SYMBOL(int, LiteRtRunCompiledModel,                                                                                \
           (void *compiled, size_t signature, size_t n_inputs, void **inputs, size_t n_outputs, void **outputs))

static struct {
    LITERT(FUNCTION)
} litert;

#define NEEDED(result, name, parameters) {#name, offsetof(__typeof__(litert), name), false},
static const struct symbol LITERT_SYMBOLS[] = {LITERT(NEEDED)};
#undef NEEDED

static void *litert_environment; /* one a process, as the runtime has it; no model's, so it is made with the library */

static bool litert_load(void *library, const char **lacks) {
    if (!resolve(library, LITERT_SYMBOLS, LENGTH(LITERT_SYMBOLS), &litert, lacks))
        return false;
    *lacks = "LiteRtCreateEnvironment that works";
    return litert.LiteRtCreateEnvironment(0, NULL, &litert_environment) == 0;
}

static const char *litert_version(void) {
    return NULL; /* the API does not tell */
}

static bool litert_set_options(struct session *session, int threads) {
    void *opaque = NULL;
    char *payload = malloc(32);
    if (!payload)
        return refuse(session, "out of memory");
    snprintf(payload, 32, "num_threads = %d\n", threads);
    if (litert.LiteRtCreateOpaqueOptions("xnnpack", payload, free, &opaque) != 0) {
        free(payload);
        return refuse(session, "the runtime takes no options for its CPU accelerator");
    }
    if (litert.LiteRtCreateOptions(&session->options) != 0 ||
        litert.LiteRtSetOptionsHardwareAccelerators(session->options, LITERT_CPU) != 0 ||
        litert.LiteRtAddOpaqueOptions(session->options, opaque) != 0)
        return refuse(session, "the runtime takes no options");
    return true;
}

static bool litert_describe(struct session *session, struct tensor *tensor, const char *name, void *handle,
                            struct litert_tensor_type *type) {
    if (litert.LiteRtGetRankedTensorType(handle, type) != 0 || type->rank > MAX_RANK)
        return refuse(session, "expected an %s of fixed shape, of at most %d dimensions", name, MAX_RANK);
    if (type->rank > 0 && type->shape[0] == -1)
        type->shape[0] = 1; /* a batch of any size, as the other API has it */
    tensor->rank = type->rank;
    memcpy(tensor->shape, type->shape, sizeof tensor->shape);
    return size_tensor(session, tensor, name, type->dtype);
}

static bool litert_make_buffer(struct session *session, int which, size_t index,
                               const struct litert_tensor_type *type) {
    void *requirements = NULL, **buffer = &session->buffers[which == INPUT ? 0 : 1 + index];
    int status = (which == INPUT ? litert.LiteRtGetCompiledModelInputBufferRequirements
                                 : litert.LiteRtGetCompiledModelOutputBufferRequirements)(session->engine, 0, index,
                                                                                          &requirements);
    if (status == 0)
        status = litert.LiteRtCreateManagedTensorBufferFromRequirements(litert_environment, type, requirements, buffer);
    if (status != 0)
        return refuse(session, "the runtime has no memory for its input or output (LiteRT status %d)", status);
    return true;
}

static bool litert_make_buffers(struct session *session, void *signature) {
    struct litert_tensor_type type;
    struct tensor other;
    void *tensor = NULL;
    if (litert.LiteRtGetSignatureInputTensorByIndex(signature, 0, &tensor) != 0)
        return refuse(session, "the runtime gives no input");
    if (!litert_describe(session, &session->input, "input", tensor, &type) ||
        !litert_make_buffer(session, INPUT, 0, &type))
        return false;
    for (size_t i = 0; i < session->n_outputs; i++) {
        if (litert.LiteRtGetSignatureOutputTensorByIndex(signature, i, &tensor) != 0)
            return refuse(session, "the runtime gives no output %zu", i);
        if (!litert_describe(session, i ? &other : &session->output, "output", tensor, &type) ||
            !litert_make_buffer(session, OUTPUT, i, &type))
            return false;
    }
    return true;
}

static bool litert_open(struct session *session, const char *path, int threads) {
    void *signature = NULL;
    size_t n_inputs = 0;
    int status = litert.LiteRtCreateModelFromFile(litert_environment, path, &session->model);
    if (status != 0)
        return refuse(session, "the runtime refuses it (LiteRT status %d): broken, or of a newer version", status);
    if (litert.LiteRtGetModelSignature(session->model, 0, &signature) != 0 ||
        litert.LiteRtGetNumSignatureInputs(signature, &n_inputs) != 0 ||
        litert.LiteRtGetNumSignatureOutputs(signature, &session->n_outputs) != 0)
        return refuse(session, "expected a model with a signature");
    if (n_inputs != 1 || session->n_outputs < 1 || session->n_outputs > MAX_OUTPUTS)
        return refuse(session, "expected 1 input and 1 to %d outputs, got %zu and %zu", MAX_OUTPUTS, n_inputs,
                      session->n_outputs);
    if (!litert_set_options(session, threads))
        return false;
    status = litert.LiteRtCreateCompiledModel(litert_environment, session->model, session->options, &session->engine);
    if (status != 0)
        return refuse(session, "the runtime cannot prepare it (LiteRT status %d): broken, or with an unknown operator",
                      status);
    session->delegate = "XNNPACK"; /* what LiteRT's CPU accelerator is by default */
    return litert_make_buffers(session, signature);
}

static void *litert_map(struct session *session, int which) {
    void *buffer = session->buffers[which == INPUT ? 0 : 1], *address = NULL;
    size_t expected = which == INPUT ? session->input.bytes : session->output.bytes, bytes = 0;
    if (litert.LiteRtGetTensorBufferPackedSize(buffer, &bytes) != 0 || bytes != expected)
        return NULL;
    int status = litert.LiteRtLockTensorBuffer(buffer, &address, which == INPUT ? LITERT_WRITE : LITERT_READ);
    return status == 0 ? address : NULL;
}

static bool litert_unmap(struct session *session, int which) {
    return litert.LiteRtUnlockTensorBuffer(session->buffers[which == INPUT ? 0 : 1]) == 0;
}

static bool litert_invoke(struct session *session) {
    return litert.LiteRtRunCompiledModel(session->engine, 0, 1, session->buffers, session->n_outputs,
                                         session->buffers + 1) == 0;
}

static void litert_close(struct session *session) {
    for (size_t i = 0; i < LENGTH(session->buffers); i++)
        if (session->buffers[i])
            litert.LiteRtDestroyTensorBuffer(session->buffers[i]);
    if (session->engine)
        litert.LiteRtDestroyCompiledModel(session->engine);
    if (session->options)
        litert.LiteRtDestroyOptions(session->options);
    if (session->model)
        litert.LiteRtDestroyModel(session->model);
}

static const struct backend LITERT_API = {
    "litert", litert_load, litert_version, litert_open, litert_map, litert_unmap, litert_invoke, litert_close,
};

/* -- Runtime, model, inputs ---------------------------------------------------------------------------------------- */

static const struct backend *backend;

static void load_runtime(void) {
    char path[PATH_MAX];
    const char *lacks = NULL;
    /* With a slash in it: else the system would look for it elsewhere. */
    if (!realpath(arguments.runtime, path))
        fail(BAD_RUNTIME, "%s: expected the library of the runtime: %s", arguments.runtime, strerror(errno));
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        fail(BAD_RUNTIME, "%s: cannot be loaded; expected a library for this system: %s", arguments.runtime, dlerror());
    bool has_litert = dlsym(library, "LiteRtCreateCompiledModel");
    bool is_litert = arguments.backend == LITERT_BACKEND || (arguments.backend == AUTO_BACKEND && has_litert);
    backend = is_litert ? &LITERT_API : &TFLITE_API;
    if (arguments.backend == AUTO_BACKEND && !has_litert && !dlsym(library, "TfLiteInterpreterCreate"))
        fail(BAD_RUNTIME, "%s: expected a library with the C API of LiteRT or TensorFlow Lite", arguments.runtime);
    if (!backend->load(library, &lacks))
        fail(BAD_RUNTIME, "%s: expected the C API of %s, it lacks %s", arguments.runtime,
             is_litert ? "LiteRT (2.1.6 or later)" : "TensorFlow Lite", lacks);
    found.backend = backend->name;
    found.runtime_version = backend->version();
}

/* Refuse what surely is no TFLite file before the runtime has a chance to crash on it. */
static void check_model(const char *path) {
    char magic[8] = "";
    struct stat status;
    FILE *file = fopen(path, "rbe");
    if (!file || fstat(fileno(file), &status) != 0)
        fail(BAD_MODEL, "%s: expected a TFLite file: %s", path, strerror(errno));
    size_t n = S_ISREG(status.st_mode) ? fread(magic, 1, sizeof magic, file) : 0;
    fclose(file);
    if (n != sizeof magic || memcmp(magic + 4, "TFL3", 4) != 0)
        fail(BAD_MODEL, "%s: expected a TFLite file, with TFL3 at byte 4", path);
}

static void open_model(struct session *session, const char *path) {
    memset(session, 0, sizeof *session);
    if (!backend->open(session, path, (int)arguments.threads))
        fail(BAD_MODEL, "%s: %s", path, session->problem);
}

static bool read_whole(FILE *file) {
    struct stat status;
    if (fstat(fileno(file), &status) != 0)
        return false;
    if (!S_ISREG(status.st_mode) || status.st_size <= 0) {
        errno = EINVAL;
        return false;
    }
    given.size = (size_t)status.st_size;
    given.bytes = malloc(given.size);
    return given.bytes && fread(given.bytes, 1, given.size, file) == given.size;
}

static void read_inputs(void) {
    if (!arguments.input)
        return;
    errno = 0;
    FILE *file = fopen(arguments.input, "rbe");
    if (!file || !read_whole(file))
        fail(BAD_INPUT, "%s: expected a file of raw inputs: %s", arguments.input,
             errno ? strerror(errno) : "it became shorter while it was read");
    fclose(file);
}

static void take_model(const struct session *session) {
    found.input = session->input;
    found.output = session->output;
    found.delegate = session->delegate;
    found.n_inputs = 0;
    enter("input");
    if (given.bytes && given.size % session->input.bytes != 0)
        fail(BAD_INPUT, "%s: expected inputs of %zu bytes, back to back; got %zu bytes", arguments.input,
             session->input.bytes, given.size);
    found.n_inputs = given.bytes ? given.size / session->input.bytes : 1;
}

/* The next of a series of numbers: Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014. */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* One number of a data type: floats in [-1, 1), integers over their range. */
static void put_random(const struct dtype *dtype, uint64_t random, void *to) {
    if (strcmp(dtype->name, "float32") == 0) {
        float value = (float)(random >> 40) * 0x1p-23f - 1.0f;
        memcpy(to, &value, sizeof value);
    } else if (strcmp(dtype->name, "float64") == 0) {
        double value = (double)(random >> 11) * 0x1p-52 - 1.0;
        memcpy(to, &value, sizeof value);
    } else if (strcmp(dtype->name, "float16") == 0) {
        /* Sign, exponent -1, fraction: magnitudes in [0.5, 1). */
        uint16_t value = (uint16_t)(0x3800 | (random & 0x83FF));
        memcpy(to, &value, sizeof value);
    } else {
        random = strcmp(dtype->name, "bool") == 0 ? random & 1 : random;
        for (size_t i = 0; i < dtype->bytes; i++)
            ((unsigned char *)to)[i] = (unsigned char)(random >> (8 * i));
    }
}

static void synthesise(const struct tensor *tensor, unsigned char *to) {
    uint64_t state = 1;
    for (size_t i = 0; i < tensor->bytes; i += tensor->dtype->bytes)
        put_random(tensor->dtype, next_random(&state), to + i);
}

/* Put the i-th input in its place, from the file or made up. */
static void feed(struct session *session, size_t i, bool from_file) {
    unsigned char *to = backend->map(session, INPUT);
    size_t bytes = session->input.bytes;
    if (!to)
        fail(BAD_RUN, "the runtime gives no memory for an input of %zu bytes", bytes);
    if (from_file)
        memcpy(to, given.bytes + (i % found.n_inputs) * bytes, bytes);
    else
        synthesise(&session->input, to);
    if (!backend->unmap(session, INPUT))
        fail(BAD_RUN, "the runtime does not take its input");
}

static void warm_up_runtime(void) {
    struct session session;
    if (!arguments.warm_model)
        return;
    check_model(arguments.warm_model);
    open_model(&session, arguments.warm_model);
    feed(&session, 0, false);
    if (!backend->invoke(&session))
        fail(BAD_MODEL, "%s: expected a model that runs", arguments.warm_model);
    backend->close(&session);
}

/* -- Clocks, progress ---------------------------------------------------------------------------------------------- */

static uint64_t now(void) {
    struct timespec time = {0};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

static uint64_t to_ns(double seconds) {
    return (uint64_t)(seconds * (double)NS_PER_S);
}

static void progress(double fraction, const char *words) {
    static uint64_t told;
    uint64_t time = now();
    if (told && time - told < PROGRESS_NS)
        return;
    told = time;
    printf("progress %.3f %s\n", fraction < 1 ? fraction : 1, words);
    fflush(stdout);
}

/* User and system time of this process. */
static uint64_t own_time(void) {
    struct rusage usage = {0};
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS_PER_S +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

/* Time of all cores that was not idle, of all processes; -1 where the system does not tell. */
static int64_t busy_time(void) {
    char text[512], *at = text + 4, *end;
    double busy = 0, per_second = (double)sysconf(_SC_CLK_TCK);
    int n = 0;
    if (per_second <= 0 || !read_text(text, sizeof text, "%s/stat", arguments.procfs) || strncmp(text, "cpu ", 4) != 0)
        return -1;
    /* User, nice, system, idle, wait for I/O, interrupts, soft interrupts, stolen: proc(5). */
    for (; n < 8; n++, at = end) {
        double ticks = (double)strtoll(at, &end, 10);
        if (end == at)
            break;
        busy += n == 3 || n == 4 ? 0 : ticks;
    }
    return n >= 4 && busy >= 0 && busy / per_second < 1e9 ? (int64_t)(busy / per_second * (double)NS_PER_S) : -1;
}

/* -- Conditions ---------------------------------------------------------------------------------------------------- */

#define MAX_HZ (INT64_C(1) << 40)

static int64_t read_hz(size_t core, const char *name) {
    char text[32];
    long long khz;
    if (!read_text(text, sizeof text, "%s/devices/system/cpu/cpu%zu/cpufreq/%s", arguments.sysfs, core, name) ||
        !to_number(text, &khz) || khz <= 0 || khz > MAX_HZ / 1000)
        return -1;
    return khz * 1000;
}

/* Temperature of a thermal zone, or NAN. Most kernels give thousandths of a degree, some whole degrees; zones that are
 * switched off give 0 or what nothing on earth has. */
static double read_celsius(unsigned zone) {
    char text[32];
    long long value;
    if (!read_text(text, sizeof text, "%s/class/thermal/thermal_zone%u/temp", arguments.sysfs, zone) ||
        !to_number(text, &value) || value == 0)
        return NAN;
    double celsius = value > -1000 && value < 1000 ? (double)value : (double)value / 1000;
    return celsius > -60 && celsius < 200 ? celsius : NAN;
}

/* See which cores and thermal zones there are. */
static void find_sensors(void) {
    char path[PATH_MAX];
    for (size_t core = 0; core < MAX_CORES; core++) {
        int length = snprintf(path, sizeof path, "%s/devices/system/cpu/cpu%zu", arguments.sysfs, core);
        if (length > 0 && (size_t)length < sizeof path && access(path, F_OK) == 0)
            found.n_cores = core + 1; /* there may be gaps: what a core in one is asked for, it does not tell */
    }
    for (unsigned zone = 0; zone < MAX_ZONE_NUMBER && found.n_zones < MAX_ZONES; zone++) {
        char *name = found.zone_names[found.n_zones];
        if (!read_text(name, sizeof found.zone_names[0], "%s/class/thermal/thermal_zone%u/type", arguments.sysfs,
                       zone) ||
            isnan(read_celsius(zone)))
            continue;
        found.zone_numbers[found.n_zones++] = zone;
    }
}

static void read_battery(struct condition *condition) {
    char text[32];
    long long value;
    condition->battery_celsius = NAN;
    condition->battery_percent = -1;
    if (read_text(text, sizeof text, "%s/class/power_supply/battery/temp", arguments.sysfs) &&
        to_number(text, &value) && value > -600 && value < 2000)
        condition->battery_celsius = (double)value / 10;
    if (read_text(text, sizeof text, "%s/class/power_supply/battery/capacity", arguments.sysfs) &&
        to_number(text, &value) && value >= 0 && value <= 100)
        condition->battery_percent = value;
    if (!read_text(condition->battery_status, sizeof condition->battery_status,
                   "%s/class/power_supply/battery/status", arguments.sysfs))
        condition->battery_status[0] = '\0';
}

/* Make room for one more item of an array. */
static void *grow(void *items, size_t n, size_t *room, size_t item_bytes) {
    size_t more = *room ? *room * 2 : 64, bytes;
    if (n < *room)
        return items;
    void *larger = __builtin_mul_overflow(more, item_bytes, &bytes) ? NULL : realloc(items, bytes);
    if (!larger)
        fail(BAD_RUN, "out of memory after %zu runs: expected fewer", found.n_samples);
    *room = more;
    return larger;
}

static void look_at_conditions(uint64_t at_ns) {
    found.conditions = grow(found.conditions, found.n_conditions, &found.room_for_conditions, sizeof *found.conditions);
    struct condition *condition = &found.conditions[found.n_conditions++];
    condition->at_ns = at_ns;
    for (size_t i = 0; i < found.n_cores; i++) {
        condition->hz[i] = read_hz(i, "scaling_cur_freq");
        condition->max_hz[i] = read_hz(i, "scaling_max_freq");
    }
    for (size_t i = 0; i < found.n_zones; i++)
        condition->celsius[i] = read_celsius(found.zone_numbers[i]);
    read_battery(condition);
}

/* Whether the system allows a core that we may run on less than it did at the begin. */
static bool throttled(void) {
    const struct condition *first = found.conditions, *last = &found.conditions[found.n_conditions - 1];
    for (size_t i = 0; i < found.n_cores; i++) {
        bool ours = !found.cpus_known || CPU_ISSET(i, &found.cpus);
        if (ours && last->max_hz[i] > 0 && last->max_hz[i] < first->max_hz[i])
            return true;
    }
    return false;
}

/* -- Time pass: the loop of dslite/measure/protocol.py ------------------------------------------------------------- */

static uint64_t timed_run(struct session *session, size_t i, uint64_t *start) {
    feed(session, i, given.bytes != NULL);
    uint64_t begin = now();
    bool ran = backend->invoke(session);
    uint64_t end = now();
    if (!ran)
        fail(BAD_RUN, "%s: the runtime failed to run it", arguments.model);
    if (start)
        *start = begin;
    return end - begin;
}

static void warm_up(struct session *session) {
    uint64_t begin = now(), least = to_ns(arguments.warmup_s);
    while (found.warmup_runs < arguments.warmup_runs || now() - begin < least) {
        progress(0, "warming up");
        timed_run(session, (size_t)found.warmup_runs++, NULL);
    }
}

static void keep_sample(struct session *session, uint64_t begin) {
    size_t n = found.n_samples, room = found.room_for_samples;
    uint64_t start;
    found.samples_ns = grow(found.samples_ns, n, &room, sizeof *found.samples_ns);
    found.starts_ns = grow(found.starts_ns, n, &found.room_for_samples, sizeof *found.starts_ns);
    found.samples_ns[n] = timed_run(session, n, &start);
    found.starts_ns[n] = start - begin;
    found.n_samples++;
}

/* Of what is asked for, or of what time allows, the larger. */
static double done(uint64_t elapsed) {
    double runs = (double)found.n_samples / (double)arguments.runs, seconds = (double)elapsed / (double)NS_PER_S;
    double least = arguments.min_s > 0 && seconds < arguments.min_s ? seconds / arguments.min_s : 1;
    double most = arguments.max_s > 0 ? seconds / arguments.max_s : 1;
    return fmax(fmin(runs, least), most);
}

static void time_runs(struct session *session) {
    uint64_t least = to_ns(arguments.min_s), most = to_ns(arguments.max_s), every = to_ns(arguments.condition_s);
    size_t asked = (size_t)arguments.runs;
    uint64_t elapsed = 0, looked = 0;
    look_at_conditions(0);
    uint64_t begin = now();
    while (found.n_samples == 0 || (elapsed < most && (found.n_samples < asked || elapsed < least))) {
        keep_sample(session, begin);
        elapsed = now() - begin;
        progress(done(elapsed), "timing");
        if (elapsed - looked < every)
            continue;
        look_at_conditions(looked = elapsed);
        if (arguments.stop_when_throttled && throttled()) {
            found.stopped = "throttled";
            break;
        }
    }
    if (!found.stopped && (found.n_samples < asked || elapsed < least))
        found.stopped = "time";
    look_at_conditions(now() - begin);
}

static void time_span(struct session *session) {
    uint64_t own = own_time(), begin = now();
    int64_t busy = busy_time();
    time_runs(session);
    int64_t busy_after = busy_time();
    found.wall_ns = now() - begin;
    found.own_ns = own_time() - own;
    found.busy_ns = busy < 0 || busy_after < busy ? -1 : busy_after - busy;
    found.timed = true;
}

/* What cannot be written is seen when the file is closed. */
static void write_output(struct session *session, FILE *file) {
    const void *bytes = backend->map(session, OUTPUT);
    if (!bytes)
        fail(BAD_RUN, "the runtime gives no output of %zu bytes", session->output.bytes);
    fwrite(bytes, session->output.bytes, 1, file);
    if (!backend->unmap(session, OUTPUT))
        fail(BAD_RUN, "the runtime does not take its output back");
}

static void write_outputs(struct session *session) {
    static struct sink sink; /* `unfinished` points into it */
    if (!arguments.outputs)
        return;
    bool whole = open_sink(&sink, arguments.outputs);
    if (whole) {
        unfinished = sink.part[0] ? sink.part : NULL;
        for (size_t i = 0; i < found.n_inputs; i++) {
            progress(1, "outputs");
            timed_run(session, i, NULL);
            write_output(session, sink.file);
        }
        whole = close_sink(&sink);
        unfinished = NULL;
    }
    if (!whole) {
        found.stage = "write";
        fail(BAD_WRITE, "%s: the outputs cannot be written: %s", arguments.outputs, strerror(errno));
    }
}

static void time_pass(void) {
    struct session session;
    progress(0, "opening");
    uint64_t begin = now();
    open_model(&session, arguments.model);
    found.init_ns = now() - begin;
    take_model(&session);
    enter("run");
    found.first_ns = timed_run(&session, 0, NULL);
    warm_up(&session);
    find_sensors();
    time_span(&session);
    write_outputs(&session);
    backend->close(&session);
}

/* -- Memory pass: as dslite/measure/memory.py ---------------------------------------------------------------------- */

static long long status_bytes(const char *status, const char *name) {
    const char *line = strstr(status, name);
    return line ? strtoll(line + strlen(name), NULL, 10) * 1024 : -1;
}

/* Have the kernel forget the peak of resident memory: proc(5). */
static bool reset_peak(void) {
    int descriptor = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (descriptor < 0)
        return false;
    bool reset = write(descriptor, "5", 1) == 1;
    close(descriptor);
    return reset;
}

static void read_status(char *status, size_t room) {
    if (!read_text(status, room, "/proc/self/status") || status_bytes(status, "\nVmRSS:") < 0)
        fail(BAD_RUN, "expected VmRSS in /proc/self/status: this system does not tell the memory of a process");
}

static void memory_pass(void) {
    struct session session;
    char before[8192], after[8192];
    progress(0, "memory");
    found.peak_reset = reset_peak();
    read_status(before, sizeof before);
    open_model(&session, arguments.model);
    take_model(&session);
    enter("run");
    timed_run(&session, 0, NULL);
    read_status(after, sizeof after);
    long long peak = status_bytes(after, "\nVmHWM:");
    found.peak_reset = found.peak_reset && peak >= 0;
    found.peak_bytes = found.peak_reset ? peak : status_bytes(after, "\nVmRSS:");
    found.baseline_bytes = status_bytes(before, "\nVmRSS:");
    found.baseline_anonymous_bytes = status_bytes(before, "\nRssAnon:");
    found.anonymous_bytes = status_bytes(after, "\nRssAnon:");
    found.memory_known = true;
    backend->close(&session);
}

int main(int n, char **words) {
    read_arguments(n, words);
    catch_signals();
    enter("arguments");
    pin();
    enter("runtime");
    load_runtime();
    warm_up_runtime();
    enter("model");
    check_model(arguments.model);
    enter("input");
    read_inputs();
    enter("model");
    if (arguments.pass == MEMORY_PASS)
        memory_pass();
    else
        time_pass();
    complete();
}

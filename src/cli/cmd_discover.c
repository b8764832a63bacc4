/* cmd_discover.c - where the fusion rules match in a model, each match tried on the model itself.
 */
#include <stdio.h>

#include "cli/command.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/run.h"

typedef struct discover_options {
    zx_cli_common common;
    const char *model;
    zx_cli_list include, exclude;
    uint64_t seed;
    bool apply, forget, no_keep;
} discover_options;

static const zx_cli_operand operands[] = {
    {"MODEL", zx_cli_model_help, offsetof(discover_options, model), false},
    {.name = NULL},
};

static const zx_cli_option rows[] = {
    {.name = "include",
     .kind = ZX_CLI_LIST,
     .argument = "RULE",
     .help = "apply this rule, and of the others none; may repeat ('zmlx patterns' lists them)",
     .offset = offsetof(discover_options, include)},
    {.name = "exclude",
     .kind = ZX_CLI_LIST,
     .argument = "RULE",
     .help = "leave this rule out; may repeat",
     .offset = offsetof(discover_options, exclude)},
    {.name = "seed",
     .kind = ZX_CLI_SEED,
     .argument = "N",
     .help = "of the inputs that are made up",
     .offset = offsetof(discover_options, seed)},
    {.name = "apply",
     .kind = ZX_CLI_FLAG,
     .help = "measure rules and runs of ops that no rule covers, and apply each from now on "
             "to steps of the sizes it makes faster",
     .offset = offsetof(discover_options, apply)},
    {.name = "no-keep",
     .kind = ZX_CLI_FLAG,
     .help = "do not remember what was refused or measured",
     .offset = offsetof(discover_options, no_keep)},
    {.name = "undo",
     .kind = ZX_CLI_FLAG,
     .help = "forget what was remembered about this model, and do nothing else",
     .offset = offsetof(discover_options, forget)},
    {.name = NULL},
};

static const char *const verdict_names[] = {[ZMLX_FUSION_APPLIED] = "applied",
                                            [ZMLX_FUSION_REFUSED] = "refused",
                                            [ZMLX_FUSION_OFF] = "off"};

static json_t *site_json(const zmlx_fusion_site *site)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:I}", "rule", site->rule, "pattern",
                     site->pattern, "where", site->where, "bytes_saved",
                     (json_int_t)site->bytes_saved, "reason", site->reason, "least_tokens",
                     (json_int_t)site->least_tokens, "most_tokens", (json_int_t)site->most_tokens);
}

typedef struct summary {
    size_t counts[3];
    int64_t bytes_saved; /* of what was applied, per token */
} summary;

/* For which steps, where not for all. */
static void describe_steps(const zmlx_fusion_site *site, char text[64])
{
    if (site->least_tokens > 0 && site->most_tokens > 0)
        (void)snprintf(text, 64, "for %zu to %zu tokens a step", site->least_tokens,
                       site->most_tokens);
    else if (site->least_tokens > 0)
        (void)snprintf(text, 64, "for %zu tokens a step or more", site->least_tokens);
    else if (site->most_tokens > 0)
        (void)snprintf(text, 64, "for %zu tokens a step or fewer", site->most_tokens);
}

/* Adds a site to the arrays or prints its line. */
static void report_site(const zx_cli_common *common, const zmlx_fusion_site *site, json_t *matched,
                        json_t *by_verdict[3])
{
    if (common->json) {
        (void)json_array_append_new(matched, site_json(site));
        (void)json_array_append_new(by_verdict[site->verdict], site_json(site));
        return;
    }
    char steps[64] = "";
    if (site->verdict == ZMLX_FUSION_APPLIED) describe_steps(site, steps);
    const char *remark = *steps != '\0' ? steps : site->reason;
    zx_cli_print("%-8s %-24s %-36s %10lld%s%s\n", verdict_names[site->verdict], site->rule,
                 site->where, (long long)site->bytes_saved, *remark != '\0' ? "  " : "", remark);
}

static int report(const zx_cli_common *common, const zmlx_discovery *discovery)
{
    summary all = {0};
    json_t *matched = json_array(), *by_verdict[3] = {json_array(), json_array(), json_array()};
    const size_t count = zmlx_discovery_count(discovery);
    if (!common->json && count > 0)
        zx_cli_print("%-8s %-24s %-36s %10s\n", "verdict", "rule", "where", "bytes/token");
    for (size_t i = 0; i < count; i++) {
        zmlx_fusion_site site;
        if (zmlx_discovery_site(discovery, i, &site) != ZMLX_OK) break;
        all.counts[site.verdict]++;
        if (site.verdict == ZMLX_FUSION_APPLIED) all.bytes_saved += site.bytes_saved;
        report_site(common, &site, matched, by_verdict);
    }
    const int code = all.counts[ZMLX_FUSION_REFUSED] > 0 ? ZX_CLI_CHECK : ZX_CLI_OK;
    if (common->json) {
        const int printed = zx_cli_print_json(
            common, json_pack("{s:o, s:o, s:o, s:o, s:I}", "matched", matched, "applied",
                              by_verdict[ZMLX_FUSION_APPLIED], "refused",
                              by_verdict[ZMLX_FUSION_REFUSED], "off", by_verdict[ZMLX_FUSION_OFF],
                              "bytes_saved_per_token", (json_int_t)all.bytes_saved));
        return printed != ZX_CLI_OK ? printed : code;
    }
    json_decref(matched);
    for (int i = 0; i < 3; i++) json_decref(by_verdict[i]);
    zx_cli_print("%zu matched: %zu applied, %zu refused, %zu off; %lld bytes saved per token\n",
                 count, all.counts[ZMLX_FUSION_APPLIED], all.counts[ZMLX_FUSION_REFUSED],
                 all.counts[ZMLX_FUSION_OFF], (long long)all.bytes_saved);
    return code;
}

static int discover(const zx_cli_run *run, const discover_options *options)
{
    zmlx_discovery *discovery = NULL;
    const zx_cli_common *common = run->common;
    const zmlx_discover_options how = {
        .precision = (zmlx_precision)common->precision,
        .threads = common->threads,
        .include = options->include.count > 0 ? options->include.items : NULL,
        .exclude = options->exclude.count > 0 ? options->exclude.items : NULL,
        .seed = options->seed,
        .apply = options->apply,
        .keep = !options->no_keep,
    };
    if (options->forget) {
        const zmlx_status forgot = zmlx_discover_forget(run->model, how.precision);
        return forgot == ZMLX_OK ? ZX_CLI_OK : zx_cli_fail_library(common, forgot);
    }
    const zmlx_status status = zmlx_discover(run->model, &how, &discovery);
    if (status != ZMLX_OK) return zx_cli_fail_library(common, status);
    const int code = report(common, discovery);
    zmlx_discovery_close(discovery);
    return code;
}

static int run_discover(const void *raw)
{
    const discover_options *options = raw;
    zx_cli_run run = {.common = &options->common};
    int code = zx_cli_open_model(&run, options->model);
    if (code == ZX_CLI_OK) code = discover(&run, options);
    zx_cli_close(&run);
    return code;
}

const zx_command zx_command_discover = {
    .name = "discover",
    .summary = "find where the fusion rules match, and prove each match on the model",
    .details =
        "Every match runs fused and unfused on random and adversarial inputs; what differs is\n"
        "refused, remembered, and never applied to this model's graph again.  Exit 1 where\n"
        "anything was refused.",
    .operands = operands,
    .tables = {{rows, 0}},
    .runs_model = true,
    .options_bytes = sizeof(discover_options),
    .run = run_discover,
};

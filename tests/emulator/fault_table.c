// fault_table.c - the faults and their words, as recorded or reported of the real API.
#include <stddef.h>

#include "emulator/fault_table.h"

#define METRIC "generativelanguage.googleapis.com/"
#define EXCEEDED                                                                              \
    "You exceeded your current quota, please check your plan and billing details. For more "  \
    "information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits. " \
    "To monitor your current usage, head to: https://ai.dev/rate-limit. "
#define UNABLE "Unable to show the generated image. "
#define FREE   " You will not be charged for blocked images."

static const struct violation by_minute[] = {{METRIC "generate_content_paid_tier_requests",
                                              "GenerateRequestsPerMinutePerProjectPerModel",
                                              "60000"},
                                             {0}};
static const struct violation by_day[] = {{METRIC "generate_requests_per_model_per_day",
                                           "GenerateRequestsPerDayPerProjectPerModel", "2000"},
                                          {0}};
static const struct violation none_at_all[] = {
    {METRIC "generate_content_free_tier_requests",
     "GenerateRequestsPerDayPerProjectPerModel-FreeTier", NULL},
    {METRIC "generate_content_free_tier_requests",
     "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", NULL},
    {METRIC "generate_content_free_tier_input_token_count",
     "GenerateContentInputTokensPerModelPerMinute-FreeTier", NULL},
    {0}};

#define ERROR(label, code, status_name, ...)                                                \
    {                                                                                       \
        .name = label, .kind = FAULT_ERROR, .status = code, .rpc = status_name, __VA_ARGS__ \
    }
#define QUOTA(label, which, seconds, ...)                                             \
    ERROR(label, 429, "RESOURCE_EXHAUSTED", .message = EXCEEDED, .violations = which, \
          .retry = seconds, __VA_ARGS__)
#define ANSWER(label, ...)                                              \
    {                                                                   \
        .name = label, .kind = FAULT_ANSWER, .status = 200, __VA_ARGS__ \
    }
#define FINISH(label, why, ...) ANSWER(label, .finish = why, .no_image = true, __VA_ARGS__)
#define BLOCK(label, why) \
    ANSWER(label, .block = why, .content = CANDIDATES_NONE, .no_image = true)
#define WIRE(label, what)                                              \
    {                                                                  \
        .name = label, .kind = FAULT_WIRE, .status = 200, .wire = what \
    }

const struct fault fault_table[] = {
    QUOTA("429", by_minute, 1.2, ),
    QUOTA("rate_minute", by_minute, 1.2, ),
    QUOTA("429_wait", by_minute, 3, ),
    QUOTA("429_day", by_day, 21.4, ),
    QUOTA("429_zero", none_at_all, 36.7, ),
    QUOTA("429_array", by_minute, 1.2, .array = true),
    ERROR("429_bare", 429, "RESOURCE_EXHAUSTED",
          .message = "Resource has been exhausted (e.g. check quota)."),
    ERROR("429_credits", 429, "RESOURCE_EXHAUSTED",
          .message = "Your prepayment credits are depleted. Please go to AI Studio at "
                     "https://ai.studio/projects to manage your project and billing."),
    ERROR("429_spend", 429, "RESOURCE_EXHAUSTED",
          .message = "You have exceeded the spend rate limit of your tier within the rolling "
                     "window of 10 minutes. Please try again later."),
    ERROR("429_shared", 429, "RESOURCE_EXHAUSTED",
          .message = "Resource exhausted. Please try again later."),
    ERROR("429_capacity", 429, "RESOURCE_EXHAUSTED", .reason = "MODEL_CAPACITY_EXHAUSTED",
          .message = "No capacity available for model.", .retry = 0.3738),

    ERROR("500", 500, "INTERNAL",
          .message = "An internal error has occurred. Please retry or report in "
                     "https://developers.generativeai.google/guide/troubleshooting"),
    {.name = "502", .kind = FAULT_PAGE, .status = 502},
    ERROR("503", 503, "UNAVAILABLE",
          .message = "The model is overloaded. Please try again later."),
    ERROR("503_wait", 503, "UNAVAILABLE",
          .message = "The model is overloaded. Please try again later.", .retry = 3),
    ERROR("503_demand", 503, "UNAVAILABLE",
          .message = "This model is currently experiencing high demand. Spikes in demand are "
                     "usually temporary. Please try again later."),
    ERROR("504", 504, "DEADLINE_EXCEEDED",
          .message = "Deadline expired before operation could complete."),
    ERROR("499", 499, "CANCELLED", .message = "The operation was cancelled."),
    ERROR("408", 408, "DEADLINE_EXCEEDED", .message = "Request timed out."),
    ERROR("413", 413, NULL, .message = "Request payload size exceeds the limit."),
    ERROR("array_error", 500, "INTERNAL", .message = "Internal error encountered.",
          .array = true),

    ERROR("400", 400, "INVALID_ARGUMENT", .message = "Request contains an invalid argument."),
    ERROR("400_image", 400, "INVALID_ARGUMENT",
          .message = "Unable to process input image. Please retry or report in "
                     "https://developers.generativeai.google/guide/troubleshooting"),
    ERROR("bad_key", 400, "INVALID_ARGUMENT", .reason = "API_KEY_INVALID", .localized = true,
          .message = "API key not valid. Please pass a valid API key."),
    ERROR("expired_key", 400, "INVALID_ARGUMENT", .reason = "API_KEY_INVALID",
          .localized = true, .message = "API key expired. Please renew the API key."),
    ERROR("precondition", 400, "FAILED_PRECONDITION",
          .message = "User location is not supported for the API use."),
    ERROR("country", 400, "FAILED_PRECONDITION",
          .message = "Image generation is not available in your country."),
    ERROR("401", 401, "UNAUTHENTICATED", .reason = "ACCESS_TOKEN_TYPE_UNSUPPORTED",
          .message = "Request had invalid authentication credentials. Expected OAuth 2 access "
                     "token, login cookie or other valid authentication credential. See "
                     "https://developers.google.com/identity/sign-in/web/devconsole-project."),
    ERROR("402", 402, NULL, .message = "Your prepayment credits are depleted."),
    ERROR("403", 403, "PERMISSION_DENIED", .reason = "API_KEY_SERVICE_BLOCKED",
          .message = "Requests to this API generativelanguage.googleapis.com method "
                     "google.ai.generativelanguage.v1beta.GenerativeService.GenerateContent "
                     "are blocked."),
    ERROR("403_leaked", 403, "PERMISSION_DENIED",
          .message = "Your API key was reported as leaked. Please use another API key."),
    ERROR("403_suspended", 403, "PERMISSION_DENIED", .reason = "CONSUMER_SUSPENDED",
          .message = "Permission denied: Consumer has been suspended."),
    ERROR("403_disabled", 403, "PERMISSION_DENIED", .reason = "SERVICE_DISABLED",
          .message = "Generative Language API has not been used in project 12345678 before or "
                     "it is disabled."),
    ERROR("404", 404, "NOT_FOUND", ), // the message names the model

    FINISH("safety", "SAFETY", .content = CONTENT_ABSENT),
    FINISH("prohibited", "PROHIBITED_CONTENT", .content = CONTENT_EMPTY,
           .message =
               UNABLE "The image was filtered out because it violated Google's "
                      "[Generative AI Prohibited Use policy]"
                      "(https://policies.google.com/terms/generative-ai/use-policy)." FREE),
    FINISH("recitation", "RECITATION", .content = CONTENT_ABSENT),
    FINISH("language", "LANGUAGE", .content = CONTENT_ABSENT),
    FINISH("blocklist", "BLOCKLIST", .content = CONTENT_ROLE),
    FINISH("spii", "SPII", .content = CONTENT_ROLE),
    FINISH("other", "OTHER", .content = CONTENT_ABSENT,
           .message = "Model failed to generate content due to internal error."),
    FINISH("image_safety", "IMAGE_SAFETY", .content = CONTENT_EMPTY,
           .message =
               UNABLE "The image was filtered out because it violated Google's "
                      "[Generative AI Prohibited Use policy]"
                      "(https://policies.google.com/terms/generative-ai/use-policy)." FREE),
    FINISH("image_prohibited", "IMAGE_PROHIBITED_CONTENT", .content = CONTENT_ROLE,
           .message = "The model output could not be generated. This output contains sensitive "
                      "words that violate Google's Responsible AI practices. Support code: "
                      "42876398."),
    FINISH("image_recitation", "IMAGE_RECITATION", .content = CONTENT_EMPTY,
           .message = UNABLE "It is too near to a known work."),
    FINISH("image_other", "IMAGE_OTHER", .content = CONTENT_EMPTY,
           .message = UNABLE "The model could not generate the image based on the prompt "
                             "provided. You will not be charged for this request. Try "
                             "rephrasing the prompt."),
    FINISH("no_image", "NO_IMAGE", .text = true),
    FINISH("max_tokens", "MAX_TOKENS", .content = CONTENT_ROLE),
    FINISH("malformed", "MALFORMED_RESPONSE", .content = CONTENT_ABSENT),
    FINISH("unspecified", "FINISH_REASON_UNSPECIFIED", .content = CONTENT_ABSENT),
    FINISH("unknown_finish", "FAKE_NEW_FINISH_REASON", .text = true),
    FINISH("text_only", "STOP", .text = true),
    FINISH("empty", "STOP", .content = CONTENT_ROLE),
    FINISH("empty_parts", "STOP", .content = CONTENT_NONE),
    FINISH("empty_content", "STOP", .content = CONTENT_EMPTY),
    ANSWER("no_candidates", .content = CANDIDATES_NONE, .no_image = true),
    ANSWER("empty_candidates", .content = CANDIDATES_EMPTY, .no_image = true),
    BLOCK("block_safety", "SAFETY"),
    BLOCK("block_prohibited", "PROHIBITED_CONTENT"),
    BLOCK("block_image_safety", "IMAGE_SAFETY"),
    BLOCK("block_blocklist", "BLOCKLIST"),
    BLOCK("block_other", "OTHER"),

    ANSWER("two_images", .twice = true),
    ANSWER("thought_image", .thought_only = true),
    ANSWER("no_usage", .no_usage = true),
    ANSWER("no_details", .no_details = true),
    ANSWER("huge_text", .spoil = SPOIL_HUGE, .text = true),
    ANSWER("mid_stream", .spoil = SPOIL_STREAM, .text = true),
    ANSWER("jpeg", .spoil = SPOIL_JPEG),
    ANSWER("webp", .spoil = SPOIL_WEBP),
    ANSWER("cut_image", .spoil = SPOIL_CUT),
    ANSWER("corrupt_image", .spoil = SPOIL_CORRUPT),
    ANSWER("bad_base64", .spoil = SPOIL_BASE64),
    ANSWER("bad_json", .spoil = SPOIL_JSON),
    {.name = "html", .kind = FAULT_PAGE, .status = 200},
    {.name = "empty_body", .kind = FAULT_TEXT, .status = 200},

    WIRE("cut_header", WIRE_DROP),
    WIRE("cut_body", WIRE_CUT),
    WIRE("stall", WIRE_STALL),
    WIRE("hang_body", WIRE_HANG),
    {0},
};

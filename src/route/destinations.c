/* What destinations ask of the data set: folders for their names, pools for the study. */
#include "base/assert.h"
#include "route/route.h"

static bool is_by_study(const struct config_node *node)
{
    return node->pool && node->pool->balance == CONFIG_BALANCE_STUDY;
}

bool route_destinations_want(const struct config *config, const struct route_decision *decision, bool *wanted)
{
    bool any = false;
    for (size_t i = 0; i < decision->count; i++) {
        const struct config_node *node = decision->destinations[i].node;
        if (is_by_study(node)) {
            wanted[config->study_attribute] = true;
            any = true;
        }
        for (size_t j = 0; j < node->folder_attribute_count; j++) {
            hilum_assert(node->folder_attributes[j] < config->attribute_count);
            wanted[node->folder_attributes[j]] = true;
            any = true;
        }
    }
    return any;
}

bool route_destinations_ask(const struct route_decision *decision)
{
    for (size_t i = 0; i < decision->count; i++) {
        const struct config_node *node = decision->destinations[i].node;
        if (node->folder_attribute_count > 0 || is_by_study(node))
            return true;
    }
    return false;
}

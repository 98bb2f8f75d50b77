/* What folders among the destinations ask of the data set. */
#include "base/assert.h"
#include "route/route.h"

bool route_folder_wants(const struct config *config, const struct route_decision *decision, bool *wanted)
{
    bool any = false;
    for (size_t i = 0; i < decision->count; i++) {
        const struct config_node *node = decision->destinations[i].node;
        for (size_t j = 0; j < node->folder_attribute_count; j++) {
            hilum_assert(node->folder_attributes[j] < config->attribute_count);
            wanted[node->folder_attributes[j]] = true;
            any = true;
        }
    }
    return any;
}

bool route_names_folders(const struct route_decision *decision)
{
    for (size_t i = 0; i < decision->count; i++)
        if (decision->destinations[i].node->folder_attribute_count > 0)
            return true;
    return false;
}

#include "widgets/rows.h"
#include <string.h>

#define DESCRIBED "\"description\":\"\",\"description_allow_html\":false,"
#define CONTROL   DESCRIBED "\"disabled\":false,"
#define SLIDER                                                                                               \
    CONTROL "\"behavior\":\"drag-tap\",\"continuous_update\":true,\"orientation\":\"horizontal\","           \
            "\"readout\":true,"
#define PLACEHOLDER "\"placeholder\":\"\xE2\x80\x8B\","
#define CHOICES     CONTROL "\"_options_labels\":[],"
#define FONT                                                                                                 \
    "\"font_family\":null,\"font_size\":null,\"font_style\":null,\"font_variant\":null,\"font_weight\":"     \
    "null,"
#define TABS "\"box_style\":\"\",\"children\":[],\"selected_index\":null,\"titles\":[]"

const struct widget_row widget_rows[] = {
    {"IntSlider", WIDGET_CONTROLS, WIDGET_BOUNDED, NULL, "SliderStyle",
     "{" SLIDER "\"readout_format\":\"d\",\"min\":0,\"max\":100,\"step\":1,\"value\":0}", "value",
     "a whole number between min and max"},
    {"FloatSlider", WIDGET_CONTROLS, WIDGET_BOUNDED, NULL, "SliderStyle",
     "{" SLIDER "\"readout_format\":\".2f\",\"min\":0.0,\"max\":100.0,\"step\":0.1,\"value\":0.0}", "value",
     "a number between min and max"},
    {"IntRangeSlider", WIDGET_CONTROLS, WIDGET_BOUNDED, NULL, "SliderStyle",
     "{" SLIDER "\"readout_format\":\"d\",\"min\":0,\"max\":100,\"step\":1,\"value\":[25,75]}", "value",
     "two whole numbers between min and max"},
    {"IntProgress", WIDGET_CONTROLS, WIDGET_BOUNDED, "ProgressView", "ProgressStyle",
     "{" DESCRIBED "\"bar_style\":\"\",\"orientation\":\"horizontal\",\"min\":0,\"max\":100,\"value\":0}",
     "value", "a progress bar of whole numbers"},
    {"FloatProgress", WIDGET_CONTROLS, WIDGET_BOUNDED, "ProgressView", "ProgressStyle",
     "{" DESCRIBED
     "\"bar_style\":\"\",\"orientation\":\"horizontal\",\"min\":0.0,\"max\":100.0,\"value\":0.0}",
     "value", "a progress bar"},
    {"IntText", WIDGET_CONTROLS, 0, NULL, "DescriptionStyle",
     "{" CONTROL "\"continuous_update\":false,\"step\":1,\"value\":0}", "value",
     "a field for a whole number"},
    {"FloatText", WIDGET_CONTROLS, 0, NULL, "DescriptionStyle",
     "{" CONTROL "\"continuous_update\":false,\"step\":null,\"value\":0.0}", "value", "a field for a number"},
    {"BoundedIntText", WIDGET_CONTROLS, WIDGET_BOUNDED, "IntTextView", "DescriptionStyle",
     "{" CONTROL "\"continuous_update\":false,\"step\":1,\"min\":0,\"max\":100,\"value\":0}", "value",
     "a field for a whole number between min and max"},
    {"BoundedFloatText", WIDGET_CONTROLS, WIDGET_BOUNDED, "FloatTextView", "DescriptionStyle",
     "{" CONTROL "\"continuous_update\":false,\"step\":null,\"min\":0.0,\"max\":100.0,\"value\":0.0}",
     "value", "a field for a number between min and max"},
    {"Text", WIDGET_CONTROLS, WIDGET_ENTRY, NULL, "TextStyle",
     "{" CONTROL PLACEHOLDER "\"continuous_update\":true,\"value\":\"\"}", "value", "a line of text"},
    {"Password", WIDGET_CONTROLS, WIDGET_ENTRY, NULL, "TextStyle",
     "{" CONTROL PLACEHOLDER "\"continuous_update\":true,\"value\":\"\"}", "value",
     "a line of text that is not shown"},
    {"Textarea", WIDGET_CONTROLS, 0, NULL, "TextStyle",
     "{" CONTROL PLACEHOLDER "\"continuous_update\":true,\"rows\":null,\"value\":\"\"}", "value",
     "lines of text"},
    {"Combobox", WIDGET_CONTROLS, WIDGET_ENTRY, NULL, "TextStyle",
     "{" CONTROL PLACEHOLDER
     "\"continuous_update\":true,\"ensure_option\":false,\"options\":[],\"value\":\"\"}",
     "value", "a line of text with suggestions"},
    {"Checkbox", WIDGET_CONTROLS, 0, NULL, "CheckboxStyle", "{" CONTROL "\"indent\":true,\"value\":false}",
     "value", "on or off"},
    {"ToggleButton", WIDGET_CONTROLS, 0, NULL, "ToggleButtonStyle",
     "{" CONTROL "\"button_style\":\"\",\"icon\":\"\",\"value\":false}", "value", "a button that stays down"},
    {"Button", WIDGET_CONTROLS, WIDGET_BUTTON, NULL, "ButtonStyle",
     "{\"button_style\":\"\",\"description\":\"\",\"disabled\":false,\"icon\":\"\"}", "description",
     "a button: on_click(function(button) … end)"},
    {"Dropdown", WIDGET_CONTROLS, WIDGET_CHOICE, NULL, "DescriptionStyle", "{" CHOICES "\"index\":null}",
     "options", "one of options"},
    {"RadioButtons", WIDGET_CONTROLS, WIDGET_CHOICE, NULL, "DescriptionStyle",
     "{" CHOICES "\"index\":null,\"orientation\":\"vertical\"}", "options", "one of options, all in sight"},
    {"SelectMultiple", WIDGET_CONTROLS, WIDGET_CHOICES, NULL, "DescriptionStyle",
     "{" CHOICES "\"index\":[],\"rows\":5}", "options", "any of options"},
    {"ColorPicker", WIDGET_CONTROLS, 0, NULL, "DescriptionStyle",
     "{" CONTROL "\"concise\":false,\"value\":\"black\"}", "value", "a colour"},
    {"Play", WIDGET_CONTROLS, WIDGET_BOUNDED, NULL, "DescriptionStyle",
     "{" CONTROL "\"interval\":100,\"playing\":false,\"repeat\":false,\"show_repeat\":true,\"min\":0,\"max\":"
     "100,\"step\":1,\"value\":0}",
     "value", "counts up while it plays"},
    {"HTML", WIDGET_CONTROLS, 0, NULL, "HTMLStyle", "{" DESCRIBED PLACEHOLDER "\"value\":\"\"}", "value",
     "HTML text"},
    {"Label", WIDGET_CONTROLS, 0, NULL, "LabelStyle", "{" DESCRIBED PLACEHOLDER "\"value\":\"\"}", "value",
     "a text beside other widgets"},
    {"VBox", WIDGET_CONTROLS, WIDGET_BOX, NULL, NULL, "{\"box_style\":\"\",\"children\":[]}", "children",
     "children, one below the other"},
    {"HBox", WIDGET_CONTROLS, WIDGET_BOX, NULL, NULL, "{\"box_style\":\"\",\"children\":[]}", "children",
     "children, side by side"},
    {"Tab", WIDGET_CONTROLS, WIDGET_BOX, NULL, NULL, "{" TABS "}", "children",
     "children, one at a time, with titles"},
    {"Accordion", WIDGET_CONTROLS, WIDGET_BOX, NULL, NULL, "{" TABS "}", "children",
     "children that fold, with titles"},
    {"Output", WIDGET_OUTPUT, WIDGET_GATHERS, NULL, NULL, "{\"msg_id\":\"\",\"outputs\":[]}", NULL,
     "gathers output: out:capture(function() … end)"},

    {"Layout", WIDGET_BASE, WIDGET_PART, NULL, NULL,
     "{\"align_content\":null,\"align_items\":null,\"align_self\":null,\"border_bottom\":null,\"border_"
     "left\":null,\"border_right\":null,\"border_top\":null,"
     "\"bottom\":null,\"display\":null,\"flex\":null,\"flex_flow\":null,\"grid_area\":null,\"grid_auto_"
     "columns\":null,\"grid_auto_flow\":null,\"grid_auto_rows\":null,"
     "\"grid_column\":null,\"grid_gap\":null,\"grid_row\":null,\"grid_template_areas\":null,\"grid_template_"
     "columns\":null,\"grid_template_rows\":null,\"height\":null,"
     "\"justify_content\":null,\"justify_items\":null,\"left\":null,\"margin\":null,\"max_height\":null,"
     "\"max_width\":null,\"min_height\":null,\"min_width\":null,"
     "\"object_fit\":null,\"object_position\":null,\"order\":null,\"overflow\":null,\"padding\":null,"
     "\"right\":null,\"top\":null,\"visibility\":null,\"width\":null}",
     NULL, "where and how large a widget is, in CSS"},
    {"SliderStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{\"description_width\":\"\",\"handle_color\":null}", NULL, "of a slider"},
    {"DescriptionStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL, "{\"description_width\":\"\"}", NULL,
     "of a description"},
    {"TextStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{\"background\":null,\"description_width\":\"\",\"font_size\":null,\"text_color\":null}", NULL,
     "of text"},
    {"HTMLStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{\"background\":null,\"description_width\":\"\",\"font_size\":null,\"text_color\":null}", NULL,
     "of HTML"},
    {"CheckboxStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{\"background\":null,\"description_width\":\"\"}", NULL, "of a checkbox"},
    {"ProgressStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{\"bar_color\":null,\"description_width\":\"\"}", NULL, "of a progress bar"},
    {"ButtonStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{" FONT "\"button_color\":null,\"text_color\":null,\"text_decoration\":null}", NULL, "of a button"},
    {"ToggleButtonStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{" FONT "\"description_width\":\"\",\"text_color\":null,\"text_decoration\":null}", NULL,
     "of a button that stays down"},
    {"LabelStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{" FONT "\"background\":null,\"description_width\":\"\",\"text_color\":null,\"text_decoration\":null}",
     NULL, "of a label"},
    {0},
};

const struct widget_row *widget_row_find(const char *name)
{
    for (const struct widget_row *row = widget_rows; row->name; row++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

static const struct {
    const char *name, *version;
} modules[] = {
    [WIDGET_CONTROLS] = {"@jupyter-widgets/controls", "2.0.0"},
    [WIDGET_BASE] = {"@jupyter-widgets/base", "2.0.0"},
    [WIDGET_OUTPUT] = {"@jupyter-widgets/output", "1.0.0"},
};

const char *widget_module_name(enum widget_module module)
{
    return modules[module].name;
}

const char *widget_module_version(enum widget_module module)
{
    return modules[module].version;
}

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
#define BOX  "{\"box_style\":\"\",\"children\":[]}"
#define TAGS DESCRIBED "\"allow_duplicates\":true,\"allowed_tags\":[]," PLACEHOLDER
#define TABS "\"box_style\":\"\",\"children\":[],\"selected_index\":null,\"titles\":[]"

const struct widget_row widget_rows[] = {
    {"IntSlider", WIDGET_CONTROLS, WIDGET_BOUNDED, NULL, "SliderStyle",
     "{" SLIDER "\"readout_format\":\"d\",\"min\":0,\"max\":100,\"step\":1,\"value\":0}", "value",
     "a whole number between min and max"},
    {"FloatSlider", WIDGET_CONTROLS, WIDGET_BOUNDED, NULL, "SliderStyle",
     "{" SLIDER "\"readout_format\":\".2f\",\"min\":0.0,\"max\":100.0,\"step\":0.1,\"value\":0.0}", "value",
     "a number between min and max"},
    {"FloatLogSlider", WIDGET_CONTROLS, WIDGET_BOUNDED | WIDGET_LOG, NULL, "SliderStyle",
     "{" SLIDER
     "\"readout_format\":\".3g\",\"min\":0.0,\"max\":4.0,\"step\":0.1,\"base\":10.0,\"value\":1.0}",
     "value", "a number between base^min and base^max"},
    {"IntRangeSlider", WIDGET_CONTROLS, WIDGET_BOUNDED, NULL, "SliderStyle",
     "{" SLIDER "\"readout_format\":\"d\",\"min\":0,\"max\":100,\"step\":1,\"value\":[25,75]}", "value",
     "two whole numbers between min and max"},
    {"FloatRangeSlider", WIDGET_CONTROLS, WIDGET_BOUNDED, NULL, "SliderStyle",
     "{" SLIDER "\"readout_format\":\".2f\",\"min\":0.0,\"max\":100.0,\"step\":0.1,\"value\":[25.0,75.0]}",
     "value", "two numbers between min and max"},
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
    {"Valid", WIDGET_CONTROLS, 0, NULL, "DescriptionStyle",
     "{" CONTROL "\"readout\":\"Invalid\",\"value\":false}", "value", "a mark: right or wrong"},
    {"ToggleButton", WIDGET_CONTROLS, 0, NULL, "ToggleButtonStyle",
     "{" CONTROL "\"button_style\":\"\",\"icon\":\"\",\"value\":false}", "value", "a button that stays down"},
    {"Button", WIDGET_CONTROLS, WIDGET_BUTTON, NULL, "ButtonStyle",
     "{\"button_style\":\"\",\"description\":\"\",\"disabled\":false,\"icon\":\"\"}", "description",
     "a button: on_click(function(button) … end)"},
    {"Dropdown", WIDGET_CONTROLS, WIDGET_CHOICE, NULL, "DescriptionStyle", "{" CHOICES "\"index\":null}",
     "options", "one of options"},
    {"RadioButtons", WIDGET_CONTROLS, WIDGET_CHOICE, NULL, "DescriptionStyle",
     "{" CHOICES "\"index\":null,\"orientation\":\"vertical\"}", "options", "one of options, all in sight"},
    {"Select", WIDGET_CONTROLS, WIDGET_CHOICE, NULL, "DescriptionStyle",
     "{" CHOICES "\"index\":null,\"rows\":5}", "options", "one of options, in a list"},
    {"ToggleButtons", WIDGET_CONTROLS, WIDGET_CHOICE, NULL, "ToggleButtonsStyle",
     "{" CHOICES "\"index\":null,\"button_style\":\"\",\"icons\":[],\"tooltips\":[]}", "options",
     "one of options, as buttons"},
    {"SelectionSlider", WIDGET_CONTROLS, WIDGET_CHOICE | WIDGET_NONEMPTY, NULL, "SliderStyle",
     "{" SLIDER "\"_options_labels\":[],\"index\":0}", "options", "one of options, on a slider"},
    {"SelectionRangeSlider", WIDGET_CONTROLS, WIDGET_CHOICES | WIDGET_NONEMPTY | WIDGET_RANGE, NULL,
     "SliderStyle", "{" SLIDER "\"_options_labels\":[],\"index\":[0,0]}", "options",
     "from one of options to another"},
    {"SelectMultiple", WIDGET_CONTROLS, WIDGET_CHOICES, NULL, "DescriptionStyle",
     "{" CHOICES "\"index\":[],\"rows\":5}", "options", "any of options"},
    {"ColorPicker", WIDGET_CONTROLS, 0, NULL, "DescriptionStyle",
     "{" CONTROL "\"concise\":false,\"value\":\"black\"}", "value", "a colour"},
    {"DatePicker", WIDGET_CONTROLS, WIDGET_BOUNDED, NULL, "DescriptionStyle",
     "{" CONTROL "\"min\":null,\"max\":null,\"step\":1,\"value\":null}", "value", "a date: '2026-01-31'"},
    {"TimePicker", WIDGET_CONTROLS, WIDGET_BOUNDED, NULL, "DescriptionStyle",
     "{" CONTROL "\"min\":null,\"max\":null,\"step\":60.0,\"value\":null}", "value",
     "a time of day: '09:30'"},
    {"DatetimePicker", WIDGET_CONTROLS, WIDGET_BOUNDED, NULL, "DescriptionStyle",
     "{" CONTROL "\"min\":null,\"max\":null,\"value\":null}", "value",
     "a moment, in universal time: '2026-01-31 09:30:00'"},
    {"NaiveDatetimePicker", WIDGET_CONTROLS, WIDGET_BOUNDED, "DatetimeView", "DescriptionStyle",
     "{" CONTROL "\"min\":null,\"max\":null,\"value\":null}", "value",
     "a date and a time, wherever that is: '2026-01-31 09:30:00'"},
    {"FileUpload", WIDGET_CONTROLS, WIDGET_QUIET, NULL, "ButtonStyle",
     "{\"description\":\"Upload\",\"description_allow_html\":false,\"disabled\":false,\"accept\":\"\","
     "\"button_style\":\"\","
     "\"error\":\"\",\"icon\":\"upload\",\"multiple\":false,\"value\":[]}",
     NULL, "files from the browser: value is a list of {name, type, size, content, last_modified}"},
    {"TagsInput", WIDGET_CONTROLS, 0, NULL, "DescriptionStyle", "{" TAGS "\"tag_style\":\"\",\"value\":[]}",
     "value", "a list of texts"},
    {"ColorsInput", WIDGET_CONTROLS, 0, NULL, "DescriptionStyle", "{" TAGS "\"value\":[]}", "value",
     "a list of colours"},
    {"IntsInput", WIDGET_CONTROLS, 0, NULL, "DescriptionStyle",
     "{" TAGS "\"tag_style\":\"\",\"format\":\"d\",\"min\":null,\"max\":null,\"value\":[]}", "value",
     "a list of whole numbers"},
    {"FloatsInput", WIDGET_CONTROLS, 0, NULL, "DescriptionStyle",
     "{" TAGS "\"tag_style\":\"\",\"format\":\".1f\",\"min\":null,\"max\":null,\"value\":[]}", "value",
     "a list of numbers"},
    {"Play", WIDGET_CONTROLS, WIDGET_BOUNDED, NULL, "DescriptionStyle",
     "{" CONTROL "\"interval\":100,\"playing\":false,\"repeat\":false,\"show_repeat\":true,\"min\":0,\"max\":"
     "100,\"step\":1,\"value\":0}",
     "value", "counts up while it plays"},
    {"HTML", WIDGET_CONTROLS, 0, NULL, "HTMLStyle", "{" DESCRIBED PLACEHOLDER "\"value\":\"\"}", "value",
     "HTML text"},
    {"HTMLMath", WIDGET_CONTROLS, 0, NULL, "HTMLMathStyle", "{" DESCRIBED PLACEHOLDER "\"value\":\"\"}",
     "value", "HTML text with formulas: $x^2$"},
    {"Image", WIDGET_CONTROLS, 0, NULL, NULL,
     "{\"format\":\"png\",\"height\":\"\",\"value\":\"\",\"width\":\"\"}", "value",
     "a picture: its bytes; widgets.Image.from_file(path)"},
    {"Audio", WIDGET_CONTROLS, 0, NULL, NULL,
     "{\"autoplay\":true,\"controls\":true,\"format\":\"mp3\",\"loop\":true,\"value\":\"\"}", "value",
     "a sound: its bytes"},
    {"Video", WIDGET_CONTROLS, 0, NULL, NULL,
     "{\"autoplay\":true,\"controls\":true,\"format\":\"mp4\",\"height\":\"\",\"loop\":true,\"value\":\"\","
     "\"width\":\"\"}",
     "value", "a film: its bytes"},
    {"Label", WIDGET_CONTROLS, 0, NULL, "LabelStyle", "{" DESCRIBED PLACEHOLDER "\"value\":\"\"}", "value",
     "a text beside other widgets"},
    {"VBox", WIDGET_CONTROLS, WIDGET_BOX, NULL, NULL, BOX, "children", "children, one below the other"},
    {"HBox", WIDGET_CONTROLS, WIDGET_BOX, NULL, NULL, BOX, "children", "children, side by side"},
    {"Box", WIDGET_CONTROLS, WIDGET_BOX, NULL, NULL, BOX, "children", "children, laid out by layout"},
    {"GridBox", WIDGET_CONTROLS, WIDGET_BOX, NULL, NULL, BOX, "children",
     "children in a grid: layout = {grid_template_columns = …}"},
    {"Stack", WIDGET_CONTROLS, WIDGET_BOX | WIDGET_TABS, NULL, NULL, "{" TABS "}", "children",
     "children, of which selected_index is seen"},
    {"Tab", WIDGET_CONTROLS, WIDGET_BOX | WIDGET_TABS, NULL, NULL, "{" TABS "}", "children",
     "children, one at a time, with titles"},
    {"Accordion", WIDGET_CONTROLS, WIDGET_BOX | WIDGET_TABS, NULL, NULL, "{" TABS "}", "children",
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
    {"HTMLMathStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{\"background\":null,\"description_width\":\"\",\"font_size\":null,\"text_color\":null}", NULL,
     "of HTML with formulas"},
    {"ToggleButtonsStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{\"button_width\":\"\",\"description_width\":\"\",\"font_weight\":\"\"}", NULL,
     "of buttons to choose from"},
    {"Link", WIDGET_CONTROLS, WIDGET_PART | WIDGET_LINK, NULL, NULL, "{\"source\":[],\"target\":[]}", NULL,
     "two fields kept equal by the front end: widgets.jslink"},
    {"DirectionalLink", WIDGET_CONTROLS, WIDGET_PART | WIDGET_LINK, NULL, NULL,
     "{\"source\":[],\"target\":[]}", NULL, "a field that follows another in the front end: widgets.jsdlink"},
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

const char *widget_wire_name(const struct widget_row *row)
{
    static const struct {
        const char *name, *wire;
    } others[] = {
        {"TimePicker", "Time"}, {"DatetimePicker", "Datetime"}, {"NaiveDatetimePicker", "NaiveDatetime"}};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(row->name, others[i].name) == 0)
            return others[i].wire;
    return row->name;
}

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

const struct widget_row *widget_row_of_model(const char *model, const char *module)
{
    for (const struct widget_row *row = widget_rows; row->name; row++) {
        const char *wire = widget_wire_name(row);
        size_t n = strlen(wire);

        if (strncmp(model, wire, n) == 0 && strcmp(model + n, "Model") == 0 &&
            strcmp(module, widget_module_name(row->module)) == 0)
            return row;
    }
    return NULL;
}

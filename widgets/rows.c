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
     "a whole number between min and max\n\twidgets.IntSlider{value = 3, min = 0, max = 10, description = "
     "\"layers\"}"},
    {"FloatSlider", WIDGET_CONTROLS, WIDGET_BOUNDED, NULL, "SliderStyle",
     "{" SLIDER "\"readout_format\":\".2f\",\"min\":0.0,\"max\":100.0,\"step\":0.1,\"value\":0.0}", "value",
     "a number between min and max\n\twidgets.FloatSlider{value = 0.5, max = 1, step = 0.05, description = "
     "\"dropout\"}"},
    {"FloatLogSlider", WIDGET_CONTROLS, WIDGET_BOUNDED | WIDGET_LOG, NULL, "SliderStyle",
     "{" SLIDER
     "\"readout_format\":\".3g\",\"min\":0.0,\"max\":4.0,\"step\":0.1,\"base\":10.0,\"value\":1.0}",
     "value",
     "a number between base^min and base^max\n\twidgets.FloatLogSlider{value = 1e-4, min = -6, max = -2, "
     "description = \"rate\"}"},
    {"IntRangeSlider", WIDGET_CONTROLS, WIDGET_BOUNDED, NULL, "SliderStyle",
     "{" SLIDER "\"readout_format\":\"d\",\"min\":0,\"max\":100,\"step\":1,\"value\":[25,75]}", "value",
     "two whole numbers between min and max\n\twidgets.IntRangeSlider{value = {2, 8}, max = 10}.value[1]"},
    {"FloatRangeSlider", WIDGET_CONTROLS, WIDGET_BOUNDED, NULL, "SliderStyle",
     "{" SLIDER "\"readout_format\":\".2f\",\"min\":0.0,\"max\":100.0,\"step\":0.1,\"value\":[25.0,75.0]}",
     "value", "two numbers between min and max\n\twidgets.FloatRangeSlider{value = {0.25, 0.75}, max = 1}"},
    {"IntProgress", WIDGET_CONTROLS, WIDGET_BOUNDED, "ProgressView", "ProgressStyle",
     "{" DESCRIBED "\"bar_style\":\"\",\"orientation\":\"horizontal\",\"min\":0,\"max\":100,\"value\":0}",
     "value", "a progress bar of whole numbers\n\twidgets.IntProgress{value = 30, bar_style = \"success\"}"},
    {"FloatProgress", WIDGET_CONTROLS, WIDGET_BOUNDED, "ProgressView", "ProgressStyle",
     "{" DESCRIBED
     "\"bar_style\":\"\",\"orientation\":\"horizontal\",\"min\":0.0,\"max\":100.0,\"value\":0.0}",
     "value", "a progress bar\n\twidgets.FloatProgress{value = 0.3, max = 1}"},
    {"IntText", WIDGET_CONTROLS, 0, NULL, "DescriptionStyle",
     "{" CONTROL "\"continuous_update\":false,\"step\":1,\"value\":0}", "value",
     "a field for a whole number\n\twidgets.IntText{value = 3, description = \"rows\"}"},
    {"FloatText", WIDGET_CONTROLS, 0, NULL, "DescriptionStyle",
     "{" CONTROL "\"continuous_update\":false,\"step\":null,\"value\":0.0}", "value",
     "a field for a number\n\twidgets.FloatText{value = 2.5}"},
    {"BoundedIntText", WIDGET_CONTROLS, WIDGET_BOUNDED, "IntTextView", "DescriptionStyle",
     "{" CONTROL "\"continuous_update\":false,\"step\":1,\"min\":0,\"max\":100,\"value\":0}", "value",
     "a field for a whole number between min and max\n\twidgets.BoundedIntText{value = 3, max = 10}"},
    {"BoundedFloatText", WIDGET_CONTROLS, WIDGET_BOUNDED, "FloatTextView", "DescriptionStyle",
     "{" CONTROL "\"continuous_update\":false,\"step\":null,\"min\":0.0,\"max\":100.0,\"value\":0.0}",
     "value", "a field for a number between min and max\n\twidgets.BoundedFloatText{value = 0.5, max = 1}"},
    {"Text", WIDGET_CONTROLS, WIDGET_ENTRY, NULL, "TextStyle",
     "{" CONTROL PLACEHOLDER "\"continuous_update\":true,\"value\":\"\"}", "value",
     "a line of text\n\twidgets.Text{value = \"Oslo\", placeholder = \"a city\"}"},
    {"Password", WIDGET_CONTROLS, WIDGET_ENTRY, NULL, "TextStyle",
     "{" CONTROL PLACEHOLDER "\"continuous_update\":true,\"value\":\"\"}", "value",
     "a line of text that is not shown\n\twidgets.Password{description = \"token\"}"},
    {"Textarea", WIDGET_CONTROLS, 0, NULL, "TextStyle",
     "{" CONTROL PLACEHOLDER "\"continuous_update\":true,\"rows\":null,\"value\":\"\"}", "value",
     "lines of text\n\twidgets.Textarea{value = \"two\\nlines\", rows = 3}"},
    {"Combobox", WIDGET_CONTROLS, WIDGET_ENTRY, NULL, "TextStyle",
     "{" CONTROL PLACEHOLDER
     "\"continuous_update\":true,\"ensure_option\":false,\"options\":[],\"value\":\"\"}",
     "value",
     "a line of text with suggestions\n\twidgets.Combobox{options = {\"Oslo\", \"Rome\"}, ensure_option = "
     "true}"},
    {"Checkbox", WIDGET_CONTROLS, 0, NULL, "CheckboxStyle", "{" CONTROL "\"indent\":true,\"value\":false}",
     "value", "on or off\n\twidgets.Checkbox{value = true, description = \"shuffle\"}"},
    {"Valid", WIDGET_CONTROLS, 0, NULL, "DescriptionStyle",
     "{" CONTROL "\"readout\":\"Invalid\",\"value\":false}", "value",
     "a mark: right or wrong\n\twidgets.Valid{value = true}"},
    {"ToggleButton", WIDGET_CONTROLS, 0, NULL, "ToggleButtonStyle",
     "{" CONTROL "\"button_style\":\"\",\"icon\":\"\",\"value\":false}", "value",
     "a button that stays down\n\twidgets.ToggleButton{description = \"details\"}"},
    {"Button", WIDGET_CONTROLS, WIDGET_BUTTON, NULL, "ButtonStyle",
     "{\"button_style\":\"\",\"description\":\"\",\"disabled\":false,\"icon\":\"\"}", "description",
     "a button: on_click(function(button) … end)\n\twidgets.Button{description = \"go\"}:on_click(function() "
     "print(\"gone\") end)"},
    {"Dropdown", WIDGET_CONTROLS, WIDGET_CHOICE, NULL, "DescriptionStyle", "{" CHOICES "\"index\":null}",
     "options", "one of options\n\twidgets.Dropdown{options = {\"a\", \"b\"}, value = \"b\"}"},
    {"RadioButtons", WIDGET_CONTROLS, WIDGET_CHOICE, NULL, "DescriptionStyle",
     "{" CHOICES "\"index\":null,\"orientation\":\"vertical\"}", "options",
     "one of options, all in sight\n\twidgets.RadioButtons{options = {\"full\", \"lora\"}}"},
    {"Select", WIDGET_CONTROLS, WIDGET_CHOICE, NULL, "DescriptionStyle",
     "{" CHOICES "\"index\":null,\"rows\":5}", "options",
     "one of options, in a list\n\twidgets.Select{options = {\"a\", \"b\", \"c\"}, rows = 3}"},
    {"ToggleButtons", WIDGET_CONTROLS, WIDGET_CHOICE, NULL, "ToggleButtonsStyle",
     "{" CHOICES "\"index\":null,\"button_style\":\"\",\"icons\":[],\"tooltips\":[]}", "options",
     "one of options, as buttons\n\twidgets.ToggleButtons{options = {\"train\", \"test\"}}"},
    {"SelectionSlider", WIDGET_CONTROLS, WIDGET_CHOICE | WIDGET_NONEMPTY, NULL, "SliderStyle",
     "{" SLIDER "\"_options_labels\":[],\"index\":0}", "options",
     "one of options, on a slider\n\twidgets.SelectionSlider{options = {\"low\", \"middle\", \"high\"}, "
     "value = \"middle\"}"},
    {"SelectionRangeSlider", WIDGET_CONTROLS, WIDGET_CHOICES | WIDGET_NONEMPTY | WIDGET_RANGE, NULL,
     "SliderStyle", "{" SLIDER "\"_options_labels\":[],\"index\":[0,0]}", "options",
     "from one of options to another\n\twidgets.SelectionRangeSlider{options = {\"Mon\", \"Tue\", \"Wed\"}, "
     "index = {1, 2}}"},
    {"SelectMultiple", WIDGET_CONTROLS, WIDGET_CHOICES, NULL, "DescriptionStyle",
     "{" CHOICES "\"index\":[],\"rows\":5}", "options",
     "any of options\n\twidgets.SelectMultiple{options = {\"a\", \"b\", \"c\"}, value = {\"a\", \"c\"}}"},
    {"ColorPicker", WIDGET_CONTROLS, 0, NULL, "DescriptionStyle",
     "{" CONTROL "\"concise\":false,\"value\":\"black\"}", "value",
     "a colour\n\twidgets.ColorPicker{value = \"#336699\"}"},
    {"DatePicker", WIDGET_CONTROLS, WIDGET_BOUNDED, NULL, "DescriptionStyle",
     "{" CONTROL "\"min\":null,\"max\":null,\"step\":1,\"value\":null}", "value",
     "a date: '2026-01-31'\n\twidgets.DatePicker{description = \"day\"}"},
    {"TimePicker", WIDGET_CONTROLS, WIDGET_BOUNDED, NULL, "DescriptionStyle",
     "{" CONTROL "\"min\":null,\"max\":null,\"step\":60.0,\"value\":null}", "value",
     "a time of day: '09:30'\n\twidgets.TimePicker{description = \"at\"}"},
    {"DatetimePicker", WIDGET_CONTROLS, WIDGET_BOUNDED, NULL, "DescriptionStyle",
     "{" CONTROL "\"min\":null,\"max\":null,\"value\":null}", "value",
     "a moment, in universal time: '2026-01-31 09:30:00'\n\twidgets.DatetimePicker{description = \"when\"}"},
    {"NaiveDatetimePicker", WIDGET_CONTROLS, WIDGET_BOUNDED, "DatetimeView", "DescriptionStyle",
     "{" CONTROL "\"min\":null,\"max\":null,\"value\":null}", "value",
     "a date and a time, wherever that is: '2026-01-31 09:30:00'\n\twidgets.NaiveDatetimePicker{description "
     "= \"when\"}"},
    {"FileUpload", WIDGET_CONTROLS, WIDGET_QUIET, NULL, "ButtonStyle",
     "{\"description\":\"Upload\",\"description_allow_html\":false,\"disabled\":false,\"accept\":\"\","
     "\"button_style\":\"\","
     "\"error\":\"\",\"icon\":\"upload\",\"multiple\":false,\"value\":[]}",
     NULL,
     "files from the browser: value is a list of {name, type, size, content, "
     "last_modified}\n\twidgets.FileUpload{accept = \".csv\", multiple = true}"},
    {"TagsInput", WIDGET_CONTROLS, 0, NULL, "DescriptionStyle", "{" TAGS "\"tag_style\":\"\",\"value\":[]}",
     "value", "a list of texts\n\twidgets.TagsInput{value = {\"moon\"}, allowed_tags = {\"moon\", \"sun\"}}"},
    {"ColorsInput", WIDGET_CONTROLS, 0, NULL, "DescriptionStyle", "{" TAGS "\"value\":[]}", "value",
     "a list of colours\n\twidgets.ColorsInput{value = {\"red\", \"#0000ff\"}}"},
    {"IntsInput", WIDGET_CONTROLS, 0, NULL, "DescriptionStyle",
     "{" TAGS "\"tag_style\":\"\",\"format\":\"d\",\"min\":null,\"max\":null,\"value\":[]}", "value",
     "a list of whole numbers\n\twidgets.IntsInput{value = {1, 2}, max = 9}"},
    {"FloatsInput", WIDGET_CONTROLS, 0, NULL, "DescriptionStyle",
     "{" TAGS "\"tag_style\":\"\",\"format\":\".1f\",\"min\":null,\"max\":null,\"value\":[]}", "value",
     "a list of numbers\n\twidgets.FloatsInput{value = {0.1, 0.2}}"},
    {"Play", WIDGET_CONTROLS, WIDGET_BOUNDED, NULL, "DescriptionStyle",
     "{" CONTROL "\"interval\":100,\"playing\":false,\"repeat\":false,\"show_repeat\":true,\"min\":0,\"max\":"
     "100,\"step\":1,\"value\":0}",
     "value", "counts up while it plays\n\twidgets.Play{max = 50, interval = 200}"},
    {"HTML", WIDGET_CONTROLS, 0, NULL, "HTMLStyle", "{" DESCRIBED PLACEHOLDER "\"value\":\"\"}", "value",
     "HTML text\n\twidgets.HTML{value = \"<b>bold</b>\"}"},
    {"HTMLMath", WIDGET_CONTROLS, 0, NULL, "HTMLMathStyle", "{" DESCRIBED PLACEHOLDER "\"value\":\"\"}",
     "value", "HTML text with formulas: $x^2$\n\twidgets.HTMLMath{value = \"$x^2$\"}"},
    {"Image", WIDGET_CONTROLS, 0, NULL, NULL,
     "{\"format\":\"png\",\"height\":\"\",\"value\":\"\",\"width\":\"\"}", "value",
     "a picture: its bytes; widgets.Image.from_file(path)\n\twidgets.Image{value = \"\", format = \"png\", "
     "width = \"300\"}"},
    {"Audio", WIDGET_CONTROLS, 0, NULL, NULL,
     "{\"autoplay\":true,\"controls\":true,\"format\":\"mp3\",\"loop\":true,\"value\":\"\"}", "value",
     "a sound: its bytes\n\twidgets.Audio{value = \"\", format = \"wav\", autoplay = false}"},
    {"Video", WIDGET_CONTROLS, 0, NULL, NULL,
     "{\"autoplay\":true,\"controls\":true,\"format\":\"mp4\",\"height\":\"\",\"loop\":true,\"value\":\"\","
     "\"width\":\"\"}",
     "value", "a film: its bytes\n\twidgets.Video{value = \"\", format = \"webm\"}"},
    {"Label", WIDGET_CONTROLS, 0, NULL, "LabelStyle", "{" DESCRIBED PLACEHOLDER "\"value\":\"\"}", "value",
     "a text beside other widgets\n\twidgets.Label{value = \"loss\"}"},
    {"VBox", WIDGET_CONTROLS, WIDGET_BOX, NULL, NULL, BOX, "children",
     "children, one below the other\n\twidgets.VBox{children = {widgets.Label{value = \"a\"}, "
     "widgets.Button{description = \"b\"}}}"},
    {"HBox", WIDGET_CONTROLS, WIDGET_BOX, NULL, NULL, BOX, "children",
     "children, side by side\n\twidgets.HBox{children = {widgets.Label{value = \"a\"}, "
     "widgets.IntSlider{}}}"},
    {"Box", WIDGET_CONTROLS, WIDGET_BOX, NULL, NULL, BOX, "children",
     "children, laid out by layout\n\twidgets.Box{children = {widgets.Button{}}, layout = {justify_content = "
     "\"center\"}}"},
    {"GridBox", WIDGET_CONTROLS, WIDGET_BOX, NULL, NULL, BOX, "children",
     "children in a grid: layout = {grid_template_columns = …}\n\twidgets.GridBox{children = "
     "{widgets.Button{}, widgets.Button{}}, layout = {grid_template_columns = \"1fr 1fr\"}}"},
    {"Stack", WIDGET_CONTROLS, WIDGET_BOX | WIDGET_TABS, NULL, NULL, "{" TABS "}", "children",
     "children, of which selected_index is seen\n\twidgets.Stack{children = {widgets.Label{value = \"a\"}, "
     "widgets.Label{value = \"b\"}}, selected_index = 1}"},
    {"Tab", WIDGET_CONTROLS, WIDGET_BOX | WIDGET_TABS, NULL, NULL, "{" TABS "}", "children",
     "children, one at a time, with titles\n\twidgets.Tab{children = {widgets.Label{}, widgets.Label{}}, "
     "titles = {\"data\", \"plot\"}}"},
    {"Accordion", WIDGET_CONTROLS, WIDGET_BOX | WIDGET_TABS, NULL, NULL, "{" TABS "}", "children",
     "children that fold, with titles\n\twidgets.Accordion{children = {widgets.Label{}}, titles = "
     "{\"more\"}}"},
    {"Output", WIDGET_OUTPUT, WIDGET_GATHERS, NULL, NULL, "{\"msg_id\":\"\",\"outputs\":[]}", NULL,
     "gathers output: out:capture(function() … end)\n\twidgets.Output{}:capture(function() print(\"in it\") "
     "end)"},

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
     NULL,
     "where and how large a widget is, in CSS\n\twidgets.Button{layout = widgets.Layout{width = \"300px\"}}"},
    {"SliderStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{\"description_width\":\"\",\"handle_color\":null}", NULL,
     "of a slider\n\twidgets.IntSlider{style = {handle_color = \"red\"}}"},
    {"DescriptionStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL, "{\"description_width\":\"\"}", NULL,
     "of a description\n\twidgets.IntText{style = {description_width = \"120px\"}}"},
    {"TextStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{\"background\":null,\"description_width\":\"\",\"font_size\":null,\"text_color\":null}", NULL,
     "of text\n\twidgets.Text{style = {text_color = \"blue\"}}"},
    {"HTMLStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{\"background\":null,\"description_width\":\"\",\"font_size\":null,\"text_color\":null}", NULL,
     "of HTML\n\twidgets.HTML{style = {font_size = \"20px\"}}"},
    {"HTMLMathStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{\"background\":null,\"description_width\":\"\",\"font_size\":null,\"text_color\":null}", NULL,
     "of HTML with formulas\n\twidgets.HTMLMath{style = {font_size = \"20px\"}}"},
    {"ToggleButtonsStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{\"button_width\":\"\",\"description_width\":\"\",\"font_weight\":\"\"}", NULL,
     "of buttons to choose from\n\twidgets.ToggleButtons{options = {\"a\"}, style = {button_width = "
     "\"60px\"}}"},
    {"Link", WIDGET_CONTROLS, WIDGET_PART | WIDGET_LINK, NULL, NULL, "{\"source\":[],\"target\":[]}", NULL,
     "two fields kept equal by the front end: widgets.jslink"},
    {"DirectionalLink", WIDGET_CONTROLS, WIDGET_PART | WIDGET_LINK, NULL, NULL,
     "{\"source\":[],\"target\":[]}", NULL, "a field that follows another in the front end: widgets.jsdlink"},
    {"CheckboxStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{\"background\":null,\"description_width\":\"\"}", NULL,
     "of a checkbox\n\twidgets.Checkbox{style = {background = \"yellow\"}}"},
    {"ProgressStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{\"bar_color\":null,\"description_width\":\"\"}", NULL,
     "of a progress bar\n\twidgets.IntProgress{style = {bar_color = \"green\"}}"},
    {"ButtonStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{" FONT "\"button_color\":null,\"text_color\":null,\"text_decoration\":null}", NULL,
     "of a button\n\twidgets.Button{style = {button_color = \"lightgreen\"}}"},
    {"ToggleButtonStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{" FONT "\"description_width\":\"\",\"text_color\":null,\"text_decoration\":null}", NULL,
     "of a button that stays down\n\twidgets.ToggleButton{style = {text_color = \"red\"}}"},
    {"LabelStyle", WIDGET_CONTROLS, WIDGET_PART, NULL, NULL,
     "{" FONT "\"background\":null,\"description_width\":\"\",\"text_color\":null,\"text_decoration\":null}",
     NULL, "of a label\n\twidgets.Label{style = {font_weight = \"bold\"}}"},
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

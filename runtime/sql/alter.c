/* ALTER and COMMENT ON: what becomes of a table, view, schema, catalog or volume that is there. */
#include "runtime/base/mem.h"
#include "runtime/sql/statement.h"
#include <string.h>
#include <strings.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- columns ---- */
static struct sql_change *new_change(struct parser *p, struct sql_statement *s)
{
    struct sql_change *more;

    if ((s->n_changes & (s->n_changes - 1)) == 0) { /* full at 0, 1, 2, 4 … */
        more = arena_zalloc(p->arena, (s->n_changes ? s->n_changes * 2 : 1) * sizeof *more);
        if (!more)
            return fail_memory(p), NULL;
        if (s->n_changes)
            memcpy(more, s->changes, s->n_changes * sizeof *more);
        s->changes = more;
    }
    return &s->changes[s->n_changes++];
}

static bool parse_path(struct parser *p, struct sql_change *c)
{
    struct name_list path = {0};

    if (!parse_dotted(p, &path, "a column"))
        return false;
    c->path = names_of(&path);
    return true;
}

static bool parse_position(struct parser *p, struct sql_change *c)
{
    if (accept_word(p, "FIRST"))
        c->first = true;
    else if (accept_word(p, "AFTER"))
        return (c->after = parse_identifier(p, "a column")) != NULL;
    return p->failed == LC_OK;
}

/* a INT NOT NULL COMMENT 'x' AFTER b */
static bool parse_new_column(struct parser *p, struct sql_statement *s)
{
    struct sql_change *c = new_change(p, s);

    if (!c || !parse_path(p, c) || (c->type = parse_type(p)) == NULL)
        return false;
    c->nulls = NULLS_ALLOWED;
    for (;;) {
        if (accept_words(p, "NOT NULL"))
            c->nulls = NULLS_REFUSED;
        else if (accept_word(p, "COMMENT"))
            parse_comment(p, &c->comment);
        else if (at_word(p, 0, "DEFAULT"))
            return fail_unsupported(p, peek_token(p, 0), "a column's DEFAULT");
        else if (at_word(p, 0, "FIRST") || at_word(p, 0, "AFTER"))
            parse_position(p, c);
        else
            return p->failed == LC_OK;
        if (p->failed != LC_OK)
            return false;
    }
}

static bool parse_items(struct parser *p, struct sql_statement *s,
                        bool (*item)(struct parser *p, struct sql_statement *s))
{
    bool parenthesis = accept_sign(p, "(");

    do {
        if (!item(p, s))
            return false;
    } while (accept_sign(p, ","));
    return !parenthesis || expect_sign(p, ")");
}

static bool parse_add(struct parser *p, struct sql_statement *s)
{
    const struct token *t = peek_token(p, 0);

    if (at_word(p, 0, "CONSTRAINT"))
        return fail_instead(p, t, "ALTER TABLE … ADD CONSTRAINT", "check the rows before they are written");
    if (at_word(p, 0, "PARTITION") || at_word(p, 0, "IF"))
        return fail_instead(p, t, "ALTER TABLE … ADD PARTITION",
                            "a Delta table has a partition as soon as rows of it are written");
    s->action = ACTION_ADD_COLUMNS;
    if (!accept_word(p, "COLUMNS") && !expect_word(p, "COLUMN"))
        return false;
    return parse_items(p, s, parse_new_column);
}

static bool parse_dropped(struct parser *p, struct sql_statement *s)
{
    struct sql_change *c = new_change(p, s);

    return c && parse_path(p, c);
}

static bool parse_drop_columns(struct parser *p, struct sql_statement *s)
{
    const struct token *t = peek_token(p, 0);

    if (at_word(p, 0, "CONSTRAINT"))
        return fail_unsupported(p, t, "ALTER TABLE … DROP CONSTRAINT");
    if (at_word(p, 0, "FEATURE"))
        return fail_instead(p, t, "ALTER TABLE … DROP FEATURE", "copy the rows to a table without it");
    if (at_word(p, 0, "PARTITION") || (at_word(p, 0, "IF") && at_word(p, 2, "PARTITION")))
        return fail_instead(p, t, "ALTER TABLE … DROP PARTITION", "DELETE FROM the table WHERE …");
    s->action = ACTION_DROP_COLUMNS;
    if (!accept_word(p, "COLUMNS") && !expect_word(p, "COLUMN"))
        return false;
    s->if_exists = accept_words(p, "IF EXISTS");
    return parse_items(p, s, parse_dropped);
}

/* One of COMMENT 'x', TYPE t, SET NOT NULL, DROP NOT NULL, FIRST, AFTER b */
static bool parse_column_action(struct parser *p, struct sql_change *c)
{
    const struct token *t = peek_token(p, 0);

    if (accept_word(p, "COMMENT"))
        return parse_comment(p, &c->comment);
    if (accept_word(p, "TYPE"))
        return (c->type = parse_type(p)) != NULL;
    if (accept_words(p, "SET NOT NULL")) {
        c->nulls = NULLS_REFUSED;
        return true;
    }
    if (accept_words(p, "DROP NOT NULL")) {
        c->nulls = NULLS_ALLOWED;
        return true;
    }
    if (at_word(p, 0, "FIRST") || at_word(p, 0, "AFTER"))
        return parse_position(p, c);
    if (at_word(p, 0, "SET") || at_word(p, 0, "DROP") || at_word(p, 0, "SYNC"))
        return fail_unsupported(p, t, "a DEFAULT, an IDENTITY, a MASK or TAGS of a column");
    return fail_here(p, "COMMENT, TYPE, SET NOT NULL, DROP NOT NULL, FIRST or AFTER");
}

static bool parse_altered(struct parser *p, struct sql_statement *s)
{
    struct sql_change *c = new_change(p, s);

    return c && parse_path(p, c) && parse_column_action(p, c);
}

/* Hive's: CHANGE COLUMN a b INT COMMENT 'x' AFTER c; also CHANGE COLUMN a TYPE BIGINT */
static bool parse_changed(struct parser *p, struct sql_statement *s)
{
    struct sql_change *c = new_change(p, s);

    if (!c || !parse_path(p, c))
        return false;
    if (at_word(p, 0, "COMMENT") || at_word(p, 0, "TYPE") || at_word(p, 0, "SET") || at_word(p, 0, "DROP") ||
        at_word(p, 0, "FIRST") || at_word(p, 0, "AFTER"))
        return parse_column_action(p, c);
    c->rename = parse_identifier(p, "a column");
    if (!c->rename || (c->type = parse_type(p)) == NULL)
        return false;
    if (strcasecmp(c->rename, c->path.items[c->path.n - 1]) == 0)
        c->rename = NULL;
    if (accept_word(p, "COMMENT") && !parse_comment(p, &c->comment))
        return false;
    return parse_position(p, c);
}

/* ---- RENAME ---- */
static bool parse_new_name(struct parser *p, struct sql_statement *s)
{
    struct name_list to = {0};

    s->action = ACTION_RENAME;
    if (!parse_dotted(p, &to, "a name"))
        return false;
    s->source = names_of(&to);
    return true;
}

static bool parse_rename(struct parser *p, struct sql_statement *s)
{
    struct sql_change *c;

    if (accept_word(p, "TO"))
        return parse_new_name(p, s);
    if (s->object != OBJECT_TABLE)
        return fail_here(p, "TO");
    if (at_word(p, 0, "PARTITION"))
        return fail_unsupported(p, peek_token(p, 0), "ALTER TABLE … RENAME PARTITION");
    if (!expect_word(p, "COLUMN") || (c = new_change(p, s)) == NULL || !parse_path(p, c))
        return false;
    s->action = ACTION_RENAME_COLUMN;
    return expect_word(p, "TO") && (c->rename = parse_identifier(p, "a name")) != NULL;
}

/* ---- properties ---- */
static bool accept_properties(struct parser *p)
{
    return accept_word(p, "TBLPROPERTIES") || accept_word(p, "DBPROPERTIES") || accept_word(p, "PROPERTIES");
}

static bool parse_unset(struct parser *p, struct sql_statement *s)
{
    struct name_list keys = {0};

    s->action = ACTION_UNSET_PROPERTIES;
    if (at_word(p, 0, "TAGS"))
        return fail_unsupported(p, peek_token(p, 0), "TAGS");
    if (!accept_properties(p))
        return fail_here(p, "TBLPROPERTIES");
    s->if_exists = accept_words(p, "IF EXISTS");
    if (!expect_sign(p, "("))
        return false;
    do {
        struct name_list parts = {0};
        struct buf key = BUF_INIT(4096);

        if (peek_token(p, 0)->kind == TOKEN_STRING)
            push_name(p, &parts, parse_string(p, "a property"));
        else
            parse_dotted(p, &parts, "a property");
        for (size_t i = 0; i < parts.n; i++)
            buf_printf(&key, "%s%s", i ? "." : "", parts.items[i]);
        push_name(p, &keys, arena_strdup(p->arena, buf_str(&key)));
        buf_release(&key);
    } while (accept_sign(p, ","));
    s->columns = names_of(&keys);
    return expect_sign(p, ")");
}

static bool parse_set_clause(struct parser *p, struct sql_statement *s)
{
    const struct token *t = peek_token(p, 0);

    if (accept_properties(p)) {
        s->action = ACTION_SET_PROPERTIES;
        return parse_properties(p, &s->properties, &s->n_properties);
    }
    if (s->object == OBJECT_SCHEMA && (accept_words(p, "MANAGED LOCATION") || accept_word(p, "LOCATION"))) {
        s->action = ACTION_SET_LOCATION;
        return (s->location = parse_string(p, "a path in quotes")) != NULL;
    }
    if (at_word(p, 0, "LOCATION"))
        return fail_instead(p, t, "SET LOCATION", "DROP the table and CREATE it with the other LOCATION");
    if (at_word(p, 0, "OWNER") || at_word(p, 0, "TAGS") || at_word(p, 0, "SERDE") ||
        at_word(p, 0, "SERDEPROPERTIES") || at_word(p, 0, "ROW") || at_word(p, 0, "MASK"))
        return fail_unsupported(p, t, "this part of ALTER … SET");
    return fail_here(p, "TBLPROPERTIES");
}

/* ---- the objects ---- */
static bool parse_table_action(struct parser *p, struct sql_statement *s)
{
    const struct token *t = peek_token(p, 0);

    if (accept_word(p, "ADD"))
        return parse_add(p, s);
    if (accept_word(p, "DROP"))
        return parse_drop_columns(p, s);
    s->action = ACTION_ALTER_COLUMNS;
    if (accept_word(p, "ALTER")) {
        accept_word(p, "COLUMN");
        return parse_items(p, s, parse_altered);
    }
    if (accept_word(p, "CHANGE")) {
        accept_word(p, "COLUMN");
        return parse_changed(p, s);
    }
    if (at_word(p, 0, "CLUSTER"))
        return fail_instead(p, t, "CLUSTER BY",
                            "partition the table (PARTITIONED BY), or sort the rows that are written");
    if (at_word(p, 0, "REPLACE"))
        return fail_instead(p, t, "ALTER TABLE … REPLACE COLUMNS", "CREATE OR REPLACE TABLE");
    if (at_word(p, 0, "RECOVER") || at_word(p, 0, "PARTITION") || at_word(p, 0, "OWNER") ||
        at_word(p, 0, "ENABLE") || at_word(p, 0, "DISABLE"))
        return fail_unsupported(p, t, "this part of ALTER TABLE");
    return fail_here(p, "ADD, DROP, RENAME, ALTER COLUMN, SET or UNSET");
}

bool parse_alter(struct parser *p, struct sql_statement *s)
{
    static const struct {
        const char *word, *what;
        enum sql_object object;
    } objects[] = {
        {"TABLE", "a table", OBJECT_TABLE},       {"VIEW", "a view", OBJECT_VIEW},
        {"CATALOG", "a catalog", OBJECT_CATALOG}, {"SCHEMA", "a schema", OBJECT_SCHEMA},
        {"DATABASE", "a schema", OBJECT_SCHEMA},  {"NAMESPACE", "a schema", OBJECT_SCHEMA},
        {"VOLUME", "a volume", OBJECT_VOLUME},
    };
    size_t i = 0;

    s->kind = SQL_ALTER;
    while (i < COUNT(objects) && !accept_word(p, objects[i].word))
        i++;
    if (i == COUNT(objects))
        return fail_here(p, "TABLE, VIEW, SCHEMA, CATALOG or VOLUME");
    s->object = objects[i].object;
    if (!parse_table_name(p, s, objects[i].what))
        return false;
    if (accept_word(p, "RENAME"))
        return parse_rename(p, s);
    if (accept_word(p, "SET"))
        return parse_set_clause(p, s);
    if (accept_word(p, "UNSET"))
        return parse_unset(p, s);
    if (s->object == OBJECT_TABLE)
        return parse_table_action(p, s);
    if (s->object != OBJECT_VIEW)
        return fail_here(p, "RENAME TO or SET");
    s->action = ACTION_SET_QUERY;
    if (at_word(p, 0, "WITH") && at_word(p, 1, "SCHEMA"))
        return fail_unsupported(p, peek_token(p, 0), "ALTER VIEW … WITH SCHEMA");
    accept_word(p, "AS");
    if (!starts_query(p))
        return fail_here(p, "AS, RENAME TO, SET TBLPROPERTIES or UNSET TBLPROPERTIES");
    s->text = parse_source(p, peek_token(p, 0));
    s->plan = parse_query(p);
    return s->plan != NULL;
}

/* COMMENT ON TABLE t IS 'x', … COLUMN t.a IS NULL */
bool parse_comment_on(struct parser *p, struct sql_statement *s)
{
    static const struct {
        const char *word;
        enum sql_object object;
    } objects[] = {{"TABLE", OBJECT_TABLE},   {"VIEW", OBJECT_VIEW},       {"CATALOG", OBJECT_CATALOG},
                   {"SCHEMA", OBJECT_SCHEMA}, {"DATABASE", OBJECT_SCHEMA}, {"NAMESPACE", OBJECT_SCHEMA},
                   {"VOLUME", OBJECT_VOLUME}, {"COLUMN", OBJECT_TABLE}};
    size_t i = 0;
    bool column = at_word(p, 1, "COLUMN");

    if (!expect_word(p, "ON"))
        return false;
    s->kind = SQL_ALTER;
    s->action = ACTION_SET_COMMENT;
    while (i < COUNT(objects) && !accept_word(p, objects[i].word))
        i++;
    if (i == COUNT(objects))
        return fail_here(p, "TABLE, COLUMN, SCHEMA, CATALOG or VOLUME");
    s->object = objects[i].object;
    if (!parse_table_name(p, s, column ? "a column (table.column)" : "a name") || !expect_word(p, "IS"))
        return false;
    if (!accept_word(p, "NULL") && !parse_comment(p, &s->comment))
        return false;
    if (!column)
        return true;
    if (s->name.n < 2)
        return fail_at(p, peek_token(p, 0), "COMMENT ON COLUMN takes table.column");
    if ((s->changes = arena_zalloc(p->arena, sizeof *s->changes)) == NULL)
        return fail_memory(p);
    s->n_changes = 1;
    s->action = ACTION_ALTER_COLUMNS;
    s->changes->path = (struct sql_names){&s->name.items[s->name.n - 1], 1};
    s->changes->comment = s->comment ? s->comment : "";
    s->name.n--;
    return true;
}

#include "runtime/dataframe/ipc/tables.h"
#include <nanoarrow/ipc/flatcc_generated.h>
#include <stdbool.h>

#define ns(x) FLATBUFFERS_WRAP_NAMESPACE(org_apache_arrow_flatbuf, x) /* as in nanoarrow */

enum {
    LONGEST = INT32_MAX, /* rows: what is computed of a length and a width stays within 64 bits */
    WIDEST = 1 << 28,    /* bytes or values in one of a fixed number */
    ALIGNED = 8
};

static const char *const lacks = "a message of it lacks a part",
                         *const wide = "a column of it is wider than can be",
                         *const outside = "a column of it lies outside of its message";

/* ---- schema ---- */

static const char *metadata_wrong(ns(KeyValue_vec_t) pairs)
{
    for (size_t i = 0; pairs && i < ns(KeyValue_vec_len(pairs)); i++) {
        ns(KeyValue_table_t) pair = ns(KeyValue_vec_at(pairs, i));
        if (!ns(KeyValue_key_get(pair)) || !ns(KeyValue_value_get(pair)))
            return lacks;
    }
    return NULL;
}

static const char *type_wrong(ns(Field_table_t) field)
{
    const void *type = ns(Field_type_get(field));
    int64_t width = 0;

    if (!type)
        return lacks;
    switch (ns(Field_type_type(field))) {
    case ns(Type_Union):
        return "a column of it is a union";
    case ns(Type_FixedSizeBinary):
        width = ns(FixedSizeBinary_byteWidth(type));
        break;
    case ns(Type_FixedSizeList):
        width = ns(FixedSizeList_listSize(type));
        break;
    default:
        break;
    }
    return width < 0 || width > WIDEST ? wide : NULL;
}

static const char *fields_wrong(ns(Field_vec_t) fields)
{
    const char *wrong = NULL;

    for (size_t i = 0; fields && !wrong && i < ns(Field_vec_len(fields)); i++) {
        ns(Field_table_t) field = ns(Field_vec_at(fields, i));
        if (ns(Field_dictionary_is_present(field)))
            return "a column of it is encoded by a dictionary";
        wrong = type_wrong(field);
        if (!wrong)
            wrong = metadata_wrong(ns(Field_custom_metadata(field)));
        if (!wrong) /* the verifier has bounded how deep they are */
            wrong = fields_wrong(ns(Field_children(field)));
    }
    return wrong;
}

static const char *schema_wrong(ns(Schema_table_t) schema)
{
    const char *wrong = metadata_wrong(ns(Schema_custom_metadata(schema)));

    return wrong ? wrong : fields_wrong(ns(Schema_fields(schema)));
}

/* ---- batches ---- */
static bool is_length(int64_t n)
{
    return n >= 0 && n <= LONGEST;
}

static const char *batch_wrong(ns(RecordBatch_table_t) batch, int64_t body)
{
    ns(FieldNode_vec_t) nodes = ns(RecordBatch_nodes(batch));
    ns(Buffer_vec_t) buffers = ns(RecordBatch_buffers(batch));

    if (!is_length(ns(RecordBatch_length(batch))))
        return "a batch of it is longer than can be";
    for (size_t i = 0; nodes && i < ns(FieldNode_vec_len(nodes)); i++)
        if (!is_length(ns(FieldNode_length(ns(FieldNode_vec_at(nodes, i))))))
            return "a column of it is longer than can be";
    for (size_t i = 0; buffers && i < ns(Buffer_vec_len(buffers)); i++) {
        ns(Buffer_struct_t) buffer = ns(Buffer_vec_at(buffers, i));
        int64_t from = ns(Buffer_offset(buffer)), n = ns(Buffer_length(buffer));
        if (n < 0 || from < 0 || from > body || n > body - from)
            return outside;
        if (n > 0 && from % ALIGNED)
            return "a column of it is not aligned";
    }
    return NULL;
}

const char *tables_wrong(const void *data)
{
    ns(Message_table_t) message = ns(Message_as_root(data));
    const void *header = message ? ns(Message_header_get(message)) : NULL;

    if (!header)
        return lacks;
    switch (ns(Message_header_type(message))) {
    case ns(MessageHeader_Schema):
        return schema_wrong(header);
    case ns(MessageHeader_RecordBatch):
        return batch_wrong(header, ns(Message_bodyLength(message)));
    default:
        return NULL;
    }
}

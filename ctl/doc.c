#include "ctl/doc.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/core/text.h"

#define WORD_MAX 32

json_t *doc_get(const json_t *doc, const char *path)
{
    struct bytes rest = bytes_str(path);
    json_t *at = NULL;

    while (rest.len) {
        struct bytes word = bytes_cut(&rest, '.');
        char name[WORD_MAX];
        snprintf(name, sizeof(name), "%.*s", (int)word.len, word.ptr);
        at = json_object_get(doc, name);
        doc = at;
    }
    return at;
}

const char *doc_text(const json_t *doc, const char *path)
{
    return json_string_value(doc_get(doc, path));
}

bool doc_real(const json_t *doc, const char *path, double *ret)
{
    const json_t *value = doc_get(doc, path);

    if (!json_is_number(value))
        return false;
    *ret = json_number_value(value);
    return true;
}

bool doc_number(const json_t *doc, const char *path, uint64_t *ret)
{
    const json_t *value = doc_get(doc, path);
    double real = json_number_value(value);

    if (!json_is_number(value) || !(real >= 0) || real >= (double)INT64_MAX)
        return false;
    *ret = json_is_integer(value) ? (uint64_t)json_integer_value(value) : (uint64_t)real;
    return true;
}

json_t *doc_parse(const char *text)
{
    json_t *doc = json_loads(text, 0, NULL);

    if (json_is_object(doc))
        return doc;
    json_decref(doc);
    return NULL;
}

bool doc_time(const char *text, int64_t *ret_ms)
{
    struct tm tm = {0};
    const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    unsigned ms = 0;

    if (!rest)
        return false;
    if (*rest == '.') {
        const char *p = rest + 1;
        for (unsigned unit = 100; *p >= '0' && *p <= '9'; p++, unit /= 10)
            ms += (unsigned)(*p - '0') * unit;
        rest = p;
    }
    if (strcmp(rest, "Z") != 0)
        return false;
    *ret_ms = (int64_t)timegm(&tm) * 1000 + ms;
    return true;
}

bool doc_age(const json_t *doc, const char *path, int64_t now_ms, char *out, size_t cap)
{
    char text[TEXT_MAX];
    int64_t then;

    if (!doc_time(doc_text(doc, path), &then))
        return false;
    int64_t age = now_ms > then ? now_ms - then : 0;
    if (age >= 10000)
        age -= age % 1000;
    snprintf(out, cap, "%s", text_ms((uint64_t)age, text));
    return true;
}

#pragma once
/* The page's section of one cell, and the parts of the page that it uses. */
#include "measure/report_text.h"

void write_cell(FILE *f, const struct run_view *v, const struct cell_view *c);
/* [{code, what}] as a list; nothing for an empty one. */
void write_reasons(FILE *f, const json_t *reasons);
/* A table of the leaves of @tree. */
void write_flat(FILE *f, const json_t *tree);

#pragma once
extern const char report_style[];

"""The vocabulary of the Open Data Contract Standard v3.1, and of our additions to it."""

API_VERSION = "v3.1.0"

ELEMENT = frozenset(
    [
        "id",
        "name",
        "physicalType",
        "description",
        "businessName",
        "authoritativeDefinitions",
        "tags",
        "customProperties",
    ]
)
DOCUMENT = frozenset(
    [
        "version",
        "kind",
        "apiVersion",
        "id",
        "name",
        "tenant",
        "tags",
        "status",
        "servers",
        "dataProduct",
        "description",
        "domain",
        "schema",
        "support",
        "price",
        "team",
        "roles",
        "slaDefaultElement",
        "slaProperties",
        "authoritativeDefinitions",
        "customProperties",
        "contractCreatedTs",
    ]
)
OBJECT = ELEMENT | frozenset(
    ["logicalType", "physicalName", "dataGranularityDescription", "properties", "relationships", "quality"]
)
PROPERTY = ELEMENT | frozenset(
    [
        "primaryKey",
        "primaryKeyPosition",
        "logicalType",
        "logicalTypeOptions",
        "physicalName",
        "required",
        "unique",
        "partitioned",
        "partitionKeyPosition",
        "classification",
        "encryptedName",
        "transformSourceObjects",
        "transformLogic",
        "transformDescription",
        "examples",
        "criticalDataElement",
        "relationships",
        "quality",
        "items",
        "properties",
    ]
)
BOUNDS = frozenset(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format"])
TYPE_OPTIONS = {
    "number": BOUNDS | {"multipleOf"},
    "integer": BOUNDS | {"multipleOf"},
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "boolean": frozenset[str](),
    "date": BOUNDS,
    "timestamp": BOUNDS | {"timezone", "defaultTimezone"},
    "array": frozenset({"minItems", "maxItems", "uniqueItems"}),
}
OPERATORS = (
    "mustBe", "mustNotBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan", "mustBeLessOrEqualTo",
    "mustBeBetween", "mustNotBeBetween",
)  # fmt: skip
QUALITY = frozenset(
    [
        "id",
        "authoritativeDefinitions",
        "businessImpact",
        "customProperties",
        "description",
        "dimension",
        "method",
        "name",
        "schedule",
        "scheduler",
        "severity",
        "tags",
        "type",
        "unit",
        "metric",
        "rule",
        "arguments",
        "query",
        "engine",
        "implementation",
    ]
) | frozenset(OPERATORS)
QUALITY_TYPES = ("library", "sql", "text", "custom")
METRICS = ("nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount")
UNITS = ("rows", "percent")
AGREEMENT = frozenset(
    [
        "id",
        "property",
        "value",
        "valueExt",
        "unit",
        "element",
        "driver",
        "description",
        "scheduler",
        "schedule",
    ]
)
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "y": 31_536_000}
TIME_UNITS = {
    **SECONDS,
    "second": 1, "seconds": 1, "min": 60, "minute": 60, "minutes": 60, "hr": 3_600, "hour": 3_600, "hours": 3_600,
    "day": 86_400, "days": 86_400, "week": 604_800, "weeks": 604_800, "year": 31_536_000, "years": 31_536_000,
    "yr": 31_536_000,
}  # fmt: skip

CUSTOM = frozenset({"id", "property", "value", "description"})
OURS = {
    "document": ("tidegate.serving",),
    "object": (
        "tidegate.policy", "tidegate.rules", "tidegate.leakage", "tidegate.banned", "tidegate.personal",
        "tidegate.unknown",
    ),
    "column": ("tidegate.role", "tidegate.policy", "tidegate.personal", "tidegate.tensor", "tidegate.nan"),
    "check": ("tidegate.policy",),
}  # fmt: skip

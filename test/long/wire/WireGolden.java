import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.utils.internals.AppInfoParser;

/**
 * Prints what Apache Kafka's own classes say, a line each:
 * - error codes: "error", code, name, "retriable" or "final";
 * - defaults of fields that are not zero or empty: "default", path, value;
 * - what they write for every version of the given APIs: message, version, variant, bytes of header and body.
 * The values written follow from the paths of the fields; test/unit/kafka/protocol/golden-values.ts has the same rule.
 */
public class WireGolden {
    static final String CLIENT_ID = "golden";
    static final int CORRELATION_ID = 7;

    enum Variant { FULL, NULLS, DEFAULTS }

    public static void main(String[] ranges) throws Exception {
        System.out.println("# Written by Apache Kafka " + AppInfoParser.getVersion() + ". To write it anew:");
        System.out.println("# java -cp \"$CHRONIK_KAFKA_CLASSPATH\" test/long/wire/WireGolden.java "
            + String.join(" ", ranges) + " > fixtures/wire/kafka.txt");
        for (Errors error : Errors.values()) {
            String retriable = error.exception() instanceof RetriableException ? "retriable" : "final";
            System.out.println("error " + error.code() + " " + error.name() + " " + retriable);
        }
        for (String range : ranges) {
            String[] ends = range.split("-");
            for (short key = Short.parseShort(ends[0]); key <= Short.parseShort(ends[ends.length - 1]); key++) {
                ApiMessageType api = ApiMessageType.fromApiKey(key);
                printDefaults(api.newRequest(), nameOf(api.newRequest()));
                printDefaults(api.newResponse(), nameOf(api.newResponse()));
                short newest = api.highestSupportedVersion(true);
                for (short version = api.lowestSupportedVersion(); version <= newest; version++) {
                    for (Variant variant : Variant.values()) {
                        print(api, version, variant, true);
                        print(api, version, variant, false);
                    }
                }
            }
        }
    }

    static void print(ApiMessageType api, short version, Variant variant, boolean isRequest) throws Exception {
        ApiMessage body = isRequest ? api.newRequest() : api.newResponse();
        String name = nameOf(body);
        Schema schema = (isRequest ? api.requestSchemas() : api.responseSchemas())[version];
        if (variant != Variant.DEFAULTS) fill(body, schema, name, variant);
        ApiMessage header;
        short headerVersion;
        if (isRequest) {
            header = new RequestHeaderData().setRequestApiKey(api.apiKey()).setRequestApiVersion(version)
                .setCorrelationId(CORRELATION_ID).setClientId(CLIENT_ID);
            headerVersion = api.requestHeaderVersion(version);
        } else {
            header = new ResponseHeaderData().setCorrelationId(CORRELATION_ID);
            headerVersion = api.responseHeaderVersion(version);
        }
        String bytes = hex(header, headerVersion) + hex(body, version);
        System.out.println(name + " " + version + " " + variant.name().toLowerCase() + " " + bytes);
    }

    static String nameOf(ApiMessage message) {
        return message.getClass().getSimpleName().replaceAll("Data$", "");
    }

    static void printDefaults(Object struct, String path) throws Exception {
        for (Field field : struct.getClass().getDeclaredFields()) {
            // The tags that were not known, and the links of a collection, are no fields of the message.
            if (Modifier.isStatic(field.getModifiers())) continue;
            if (field.getName().matches("_unknownTaggedFields|next|prev")) continue;
            field.setAccessible(true);
            Object value = field.get(struct);
            String fieldPath = path + "." + field.getName();
            boolean isScalar = value instanceof Number || value instanceof Boolean || value instanceof String;
            if (value == null || isScalar && !List.of("0", "0.0", "false", "").contains(value.toString())) {
                System.out.println("default " + fieldPath + " " + value);
            }
            boolean isArray = Collection.class.isAssignableFrom(field.getType());
            Class<?> inner = isArray ? (Class<?>) elementOf(field.getGenericType()) : field.getType();
            if (Message.class.isAssignableFrom(inner)) printDefaults(create(inner), fieldPath);
        }
    }

    static Type elementOf(Type collection) {
        Type generic = collection instanceof Class<?> type ? type.getGenericSuperclass() : collection;
        return ((ParameterizedType) generic).getActualTypeArguments()[0];
    }

    static String hex(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        return HexFormat.of().formatHex(buffer.array());
    }

    static void fill(Object struct, Schema schema, String path, Variant variant) throws Exception {
        for (BoundField bound : schema.fields()) {
            if (bound.def.type instanceof TaggedFields tagged) {
                for (var field : tagged.fields().values()) set(struct, field, path, variant);
            } else {
                set(struct, bound.def, path, variant);
            }
        }
    }

    static void set(Object struct, org.apache.kafka.common.protocol.types.Field wire, String path, Variant variant)
            throws Exception {
        Field field = fieldOf(struct.getClass(), wire.name);
        field.setAccessible(true);
        boolean isNull = variant == Variant.NULLS && wire.type.isNullable();
        String fieldPath = path + "." + field.getName();
        field.set(struct, isNull ? null : value(field.getGenericType(), wire.type, fieldPath, variant));
    }

    /** The schema has snake case, the class camel case. */
    static Field fieldOf(Class<?> type, String snakeCase) {
        for (Field field : type.getDeclaredFields()) {
            if (field.getName().equalsIgnoreCase(snakeCase.replace("_", ""))) return field;
        }
        throw new IllegalStateException(type + " has no " + snakeCase);
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    static Object value(Type type, org.apache.kafka.common.protocol.types.Type wire, String path, Variant variant)
            throws Exception {
        int hash = fnv1a(path);
        long unsigned = hash & 0xffffffffL;
        if (wire.isArray()) {
            Class<?> raw = type instanceof ParameterizedType p ? (Class<?>) p.getRawType() : (Class<?>) type;
            Type element = elementOf(type);
            Collection list = List.class == raw ? new ArrayList<>() : (Collection) create(raw);
            int count = 1 + (int) (unsigned % 2);
            for (int i = 0; i < count; i++) {
                list.add(value(element, wire.arrayElementType().get(), path + "." + i, variant));
            }
            return list;
        }
        if (wire instanceof Schema schema) {
            Object struct = create((Class<?>) type);
            fill(struct, schema, path, variant);
            return struct;
        }
        String name = ((Class<?>) type).getSimpleName();
        switch (name) {
            case "boolean": case "Boolean": return unsigned % 2 == 1;
            case "byte": case "Byte": return (byte) hash;
            case "short": case "Short": return (short) hash;
            case "int": case "Integer": return wire.toString().equals("UINT16") ? hash & 0xffff : hash;
            case "long": case "Long": return hash * 1048576L + (unsigned & 0xfffff);
            case "double": return hash / 8.0;
            case "String": return text(unsigned);
            case "Uuid": return new Uuid(unsigned << 32 | unsigned, unsigned << 32 | unsigned);
            case "byte[]": return text(unsigned).getBytes(StandardCharsets.UTF_8);
            case "BaseRecords":
                return MemoryRecords.readableRecords(ByteBuffer.wrap(text(unsigned).getBytes(StandardCharsets.UTF_8)));
            default: throw new IllegalStateException(path + " is a " + name);
        }
    }

    /** Now and then too long for a length of one byte. */
    static String text(long unsigned) {
        return (unsigned % 16 == 0 ? "long".repeat(35) : "é") + Long.toString(unsigned, 36);
    }

    static Object create(Class<?> type) throws Exception {
        return type.getConstructor().newInstance();
    }

    static int fnv1a(String text) {
        int hash = 0x811c9dc5;
        for (int i = 0; i < text.length(); i++) hash = (hash ^ text.charAt(i)) * 16777619;
        return hash;
    }
}

// Copies a candidate's return value into the language's own classes, so that the candidate's `equals` is never called.
final class Plain {
    static Object of(Object value) {
        if (value instanceof java.util.List) {
            java.util.List<Object> copy = new java.util.ArrayList<>();
            for (Object item : (java.util.List<?>) value) copy.add(of(item));
            return copy;
        }
        if (value instanceof java.util.Set) {
            java.util.Set<Object> copy = new java.util.HashSet<>();
            for (Object item : (java.util.Set<?>) value) copy.add(of(item));
            return copy;
        }
        if (value instanceof java.util.Map) {
            java.util.Map<Object, Object> copy = new java.util.HashMap<>();
            for (java.util.Map.Entry<?, ?> entry : ((java.util.Map<?, ?>) value).entrySet())
                copy.put(of(entry.getKey()), of(entry.getValue()));
            return copy;
        }
        if (value instanceof java.util.Optional) return ((java.util.Optional<?>) value).map(Plain::of);
        if (value instanceof Object[]) {
            Object[] copy = ((Object[]) value).clone();
            for (int place = 0; place < copy.length; place++) copy[place] = of(copy[place]);
            return copy;
        }
        if (value == null || value.getClass().isArray()) return value;
        String name = value.getClass().getName();
        if (!name.startsWith("java.") && !name.startsWith("org.javatuples."))
            throw new IllegalArgumentException("returned a " + name + ", which is no plain value");
        if (!(value instanceof Iterable)) return value;
        java.util.List<Object> items = new java.util.ArrayList<>();
        for (Object item : (Iterable<?>) value) items.add(of(item));
        if (name.startsWith("java.")) return value;
        try {
            return value.getClass().getMethod("fromCollection", java.util.Collection.class).invoke(null, items);
        } catch (ReflectiveOperationException error) {
            throw new IllegalArgumentException("returned a " + name + ", which cannot be copied", error);
        }
    }
}
